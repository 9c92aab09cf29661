"""The oracle: what a program means, by a slow and obvious NumPy interpreter."""

from __future__ import annotations

from tensorgrad_gen.reference.evaluator import evaluate_expr
from tensorgrad_gen.reference.gradient import numeric_gradient
from tensorgrad_gen.reference.kinks import kink_distance, sample_smooth
from tensorgrad_gen.reference.program import environment, evaluate
from tensorgrad_gen.reference.sampling import sample_inputs
from tensorgrad_gen.reference.values import Env, EvaluationError

__all__ = [
    "Env",
    "EvaluationError",
    "environment",
    "evaluate",
    "evaluate_expr",
    "kink_distance",
    "numeric_gradient",
    "sample_inputs",
    "sample_smooth",
]
