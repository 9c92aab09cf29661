"""`python -m tensorgrad_gen` is the command `tensorgrad-gen`."""

from tensorgrad_gen.cli import main

main()
