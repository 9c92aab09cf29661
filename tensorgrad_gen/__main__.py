"""`python -m tensorgrad_gen` is the command `tensorgrad-gen`."""

from tensorgrad_gen.cli import main

if __name__ == "__main__":  # processes that verify in parallel import this module
    main()
