"""From steps to torch calls."""

from tensorgrad_gen.lower.model import Body, LoweredOp
from tensorgrad_gen.lower.op import lower_plan
from tensorgrad_gen.lower.printer import print_texpr

__all__ = ["Body", "LoweredOp", "lower_plan", "print_texpr"]
