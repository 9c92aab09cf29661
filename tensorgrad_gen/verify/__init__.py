"""Are the derivatives right?  Runs what the contract of a generated op promises."""

from tensorgrad_gen.verify.model import Check, CheckResult
from tensorgrad_gen.verify.report import as_json, as_junit, failed, render_table
from tensorgrad_gen.verify.run import run_checks, verify_op
from tensorgrad_gen.verify.table import CHECKS, SECTIONS

__all__ = [
    "CHECKS",
    "SECTIONS",
    "Check",
    "CheckResult",
    "as_json",
    "as_junit",
    "failed",
    "render_table",
    "run_checks",
    "verify_op",
]
