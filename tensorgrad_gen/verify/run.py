"""Running the checks on an op."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

from tensorgrad_gen.ir import Program
from tensorgrad_gen.verify.model import Check, CheckResult, FindingError, SkippedError, Subject
from tensorgrad_gen.verify.subject import make_subject
from tensorgrad_gen.verify.table import CHECKS

# Told about each result as it comes: the result, how many are done, how many there will be.
Progress = Callable[[CheckResult, int, int], None]


def verify_op(
    program: Program,
    module: ModuleType,
    *,
    quick: bool,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[CheckResult]:
    """Every check of the table on one op; `module` is the imported generated file."""
    start = time.perf_counter()
    try:
        subject = make_subject(program, module, seed, device)
    except Exception as error:  # noqa: BLE001  whatever goes wrong with an op is a finding about it
        result = CheckResult(program.name, "samples", 1, "failed", _describe(error), None, time.perf_counter() - start)
        if progress is not None:
            progress(result, 1, 1)
        return [result]
    return run_checks(subject, quick=quick, progress=progress)


def run_checks(subject: Subject, *, quick: bool, progress: Progress | None = None) -> list[CheckResult]:
    """Every check of the table on one subject."""
    subject = replace(subject, quick=quick)
    rows = [check for check in CHECKS if check.quick or not quick]
    results: list[CheckResult] = []
    for check in rows:
        results.append(run_check(check, subject))
        if progress is not None:
            progress(results[-1], len(results), len(rows))
    return results


def run_check(check: Check, subject: Subject) -> CheckResult:
    """One check on one subject."""
    start = time.perf_counter()
    status, message, worst = "passed", "", None
    try:
        worst = check.function(subject)
    except SkippedError as reason:
        status, message = "skipped", str(reason)
    except FindingError as finding:
        status, message, worst = "failed", str(finding), finding.worst
    except Exception as error:  # noqa: BLE001  whatever goes wrong with an op is a finding about it
        status, message = "failed", _describe(error)
    return CheckResult(subject.name, check.name, check.section, status, message, worst, time.perf_counter() - start)


def _describe(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}{'...' if len(text) > 300 else ''}"
