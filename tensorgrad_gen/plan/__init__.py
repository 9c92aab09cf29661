"""From derivatives to steps: sharing, contraction order, what is saved."""

from tensorgrad_gen.plan.model import Block, Plan, Step
from tensorgrad_gen.plan.planner import plan

__all__ = ["Block", "Plan", "Step", "plan"]
