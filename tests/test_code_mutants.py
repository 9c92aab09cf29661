"""The checks of `verify` notice a fault in generated code: each mutant fails one, or is the same function.

`CODE_MUTANTS=600 pytest tests/test_code_mutants.py -s` tries so many, and prints what became of them.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from mutants import Mutant, chosen, mutants
from torch import Tensor, func

from tensorgrad_gen import compile_spec
from tensorgrad_gen.ir import Program
from tensorgrad_gen.verify import CHECKS
from tensorgrad_gen.verify.compare import cotangents, is_float, leaves, pull, relative_error, required
from tensorgrad_gen.verify.model import Outputs, Sample, Subject
from tensorgrad_gen.verify.run import run_check
from tensorgrad_gen.verify.samples import NoSampleError, Shape, default_params, make_shape, regular_sample
from tensorgrad_gen.verify.subject import make_subject, on_module

SPECS = Path(__file__).resolve().parents[1] / "specs"
OPS = (
    "activations/gelu",
    "basics/inverse",
    "complex/complex_linear",
    "complex/expectation",
    "complex/mod_relu",
    "kernels/pairwise_distance",
    "linalg/solve",
    "structure/bilinear",
    "losses/cross_entropy",
    "losses/huber",
    "nn/attention",
    "nn/conv1d",
    "nn/cumulative_sum",
    "nn/layer_norm_affine",
    "nn/logsumexp",
    "nn/masked_softmax",
    "nn/max_pool",
    "nn/rms_norm",
    "nn/softmax",
    "structure/matrix_chain",
    "structure/trilinear",
)
# Ops that take long to build, for long runs.
LARGE = ("linalg/gaussian_process_nll", "nn/gru_cell")
LONG = "CODE_MUTANTS" in os.environ
COUNT = int(os.environ.get("CODE_MUTANTS", "60"))
TRIED = (*OPS, *LARGE) if LONG else OPS
# Left out of the everyday sample, as many of these make the same function, which takes every check to see.
OFTEN_THE_SAME = ("cast dropped", "mask dropped")
POINTS = 100
SEED = 20
SAME = 1e-11
QUICK = [check for check in CHECKS if check.quick]


@dataclass(frozen=True, slots=True)
class Original:
    """An op as it was generated, and what verifying it runs on."""

    program: Program
    source: str
    subject: Subject


@cache
def original(op: str) -> Original:
    compiled = compile_spec(SPECS / f"{op}.yaml", standalone=True)
    program = compiled["elaborate"]
    with imported(program.name, compiled.source) as module:
        subject = replace(make_subject(program, module), quick=True)
    return Original(program, compiled.source, subject)


_numbers = itertools.count()


@contextmanager
def imported(name: str, source: str) -> Iterator[ModuleType]:
    """The module of a source, known by a name of its own as long as it is used."""
    full = f"_mutant_{name}_{next(_numbers)}"
    spec = importlib.util.spec_from_loader(full, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    try:
        exec(compile(source, f"<{full}>", "exec"), module.__dict__)  # noqa: S102  our own text, one node changed
        yield module
    finally:
        del sys.modules[full]


@cache
def tried(op: str) -> tuple[Mutant, ...]:
    """The mutants of an op that are tried: its share of the count."""
    share, rest = divmod(COUNT, len(TRIED))
    all_ = [mutant for mutant in found(op) if LONG or mutant.kind not in OFTEN_THE_SAME]
    return tuple(chosen(all_, share + (TRIED.index(op) < rest), SEED))


@cache
def found(op: str) -> list[Mutant]:
    return mutants(original(op).source, original(op).program.name)


def killer(mutant: Mutant, of: Original) -> str:
    """The first check that fails, or nothing."""
    with imported(mutant.op, mutant.applied(of.source)) as module:
        subject = on_module(of.subject, of.program, module)
        return next((check.name for check in QUICK if run_check(check, subject).status == "failed"), "")


# the same function ---------------------------------------------------------------------------------


def points(of: Original) -> Iterator[Sample]:
    """Samples at several extents and with several params, drawn with a seed of their own."""
    symbols = [symbol for symbol, _ in of.program.axes if symbol != "..."]
    shapes: list[Shape] = []
    for first, second in ((3, 2), (2, 3), (3, 5), (5, 4)):
        sizes = {s: first if k % 2 else second for k, s in enumerate(symbols)}
        shapes.append(make_shape(of.program, sizes, (2,)))
    rng = torch.Generator().manual_seed(SEED)
    count = 0
    params = [default_params(of.program, moved) for moved in ((), ("real",), ("int",), ("real", "int"))]
    for shape, given in itertools.islice(itertools.cycle(itertools.product(shapes, params)), 16 * POINTS):
        try:
            sample = regular_sample(of.program, shape, given, rng, "cpu")
        except (NoSampleError, ValueError, RuntimeError, IndexError):
            continue  # a window does not fit there
        yield sample
        count += 1
        if count == POINTS:
            return
    pytest.fail(f"only {count} points of {of.program.name}")


def everything(subject: Subject, sample: Sample) -> list[Tensor]:
    """Values, first and second derivatives at one point, in reverse mode and in forward mode."""
    tensors, params = sample.tensors, sample.params
    inputs = leaves(subject, tensors)
    places = required(inputs)
    moved = [inputs[k] for k in places]
    zeros = [torch.zeros_like(t) for t in moved if t is not None]

    def filled(grads: Any) -> list[Tensor]:
        return [z if g is None else g for g, z in zip(grads, zeros, strict=True)]

    values = subject.call(inputs, params)
    curved = tuple(torch.sin(v) if is_float(v) else v for v in values)
    first = filled(pull(curved, moved, 1, create_graph=True))  # type: ignore[arg-type]
    second = filled(pull(tuple(first), moved, 2))  # type: ignore[arg-type]

    def floats(*arguments: Tensor) -> Outputs:
        full = list(tensors)
        for place, argument in zip(places, arguments, strict=True):
            full[place] = argument
        return tuple(torch.sin(o) for o in subject.call(tuple(full), params) if is_float(o))

    def gradients(*arguments: Tensor) -> tuple[Tensor, ...]:
        outputs, back = func.vjp(floats, *arguments)
        return tuple(back(tuple(cotangents(outputs, 3))))

    at = tuple(t.detach() for t in moved if t is not None)
    directions = tuple(cotangents(at, 4))
    tangents = func.jvp(floats, at, directions)[1]
    mixed = func.jvp(gradients, at, directions)[1]
    twice = func.jvp(lambda *a: func.jvp(floats, a, directions)[1], at, directions)[1]
    return [t.detach() for t in (*values, *first, *second, *tangents, *mixed, *twice)]


def difference(mutant: Mutant, of: Original) -> float:
    """The largest difference from the original at the points, relative; the first that is one, if there is one."""
    worst = 0.0
    with imported(mutant.op, of.source) as right, imported(mutant.op, mutant.applied(of.source)) as wrong:
        ours, theirs = (on_module(of.subject, of.program, module) for module in (right, wrong))
        for sample in points(of):
            for one, two in zip(everything(ours, sample), everything(theirs, sample), strict=True):
                worst = max(worst, relative_error(two, one))
            if worst > SAME:
                break
    return worst


# tests ---------------------------------------------------------------------------------------------

outcomes: dict[Mutant, str] = {}


@pytest.fixture(scope="module", autouse=True)
def _told() -> Iterator[None]:
    """At the end of a long run, what became of the mutants."""
    yield
    if LONG:
        counts = Counter(outcomes.values())
        print(f"\n{len(outcomes)} mutants of {len({m.op for m in outcomes})} ops tried")
        for name, count in counts.most_common():
            print(f"{count:5} {f'killed by {name}' if name else 'survived, the same function:'}")
        for mutant in (m for m, name in outcomes.items() if not name):
            print(f"      {mutant}")


@pytest.mark.parametrize("op", TRIED)
def test_a_mutant_fails_a_check_or_is_the_same_function(op: str) -> None:
    of = original(op)
    wrong = []
    for mutant in tried(op):
        outcomes[mutant] = killer(mutant, of)
        if not outcomes[mutant] and (apart := difference(mutant, of)) > SAME:
            wrong.append(f"{mutant}: survives every check, and is off by {apart:.1e}")
    assert not wrong, "\n".join(wrong)


# A fault of each of these kinds went through once: the op, what is replaced by what, and the check that is to see it.
BLOCK = "_by_rows(_backward_softmax_where, (1, 1, 1), (1,), grad_softmax_where, mask, softmax_where)"
ONCE_UNSEEN = (
    (
        "nn/max_pool",
        "N, K, I = ctx.sizes",
        "N, I, K = ctx.sizes",
        "vjp",
    ),
    ("losses/cross_entropy", "torch.where(mask, index_select, 0)", "(index_select)", "value"),
    ("losses/cross_entropy", "smoothing * tangent_sum_even", "(smoothing)", "jvp, jacfwd"),
    ("nn/softmax", "_cast(tangent_y, ctx.dtype)", "(tangent_y)", "tangents in bfloat16"),
    (
        "losses/huber",
        "torch.where(a <= threshold, z * tangent_z, threshold * tangent_a)",
        "(z * tangent_z)",
        "gradcheck",
    ),
    (
        "nn/masked_softmax",
        f"_add(grad_x, {BLOCK})",
        f"({BLOCK})",
        "higher orders",
    ),
)


@pytest.mark.parametrize(("op", "before", "after", "check"), ONCE_UNSEEN)
def test_faults_that_were_once_unseen_are_seen(op: str, before: str, after: str, check: str) -> None:
    of = original(op)
    [row] = [row for row in QUICK if row.name == check]
    for mutant in (m for m in found(op) if (m.before, m.after) == (before, after)):
        with imported(mutant.op, mutant.applied(of.source)) as module:
            if run_check(row, on_module(of.subject, of.program, module)).status == "failed":
                return
    pytest.fail(f"no mutant {before} -> {after} of {op} fails {check}")


def test_an_auxiliary_output_that_aliases_is_seen() -> None:
    of = original("structure/bilinear")
    [row] = [row for row in QUICK if row.name == "no alias"]
    both = of.source.replace("dtype), _own(sum_w_z)", "dtype), y")
    assert both != of.source
    with imported("bilinear", both) as module:
        result = run_check(row, on_module(of.subject, of.program, module))
    assert "result of apply 1 shares memory with result of apply 0" in result.message


def test_the_original_fails_no_check() -> None:
    of = original("nn/softmax")
    nothing = Mutant(of.program.name, "none", (0, 0), (0, 0), "", "")
    assert nothing.applied(of.source) == of.source
    assert killer(nothing, of) == ""


def test_a_difference_is_seen_and_none_where_there_is_none() -> None:
    of = original("nn/rms_norm")
    mutant = next(m for m in found("nn/rms_norm") if m.kind == "scale off" and m.before == "2")
    assert difference(mutant, of) > 1e-3
    assert difference(Mutant(of.program.name, "none", (0, 0), (0, 0), "", ""), of) == 0.0


def test_there_are_mutants_of_every_kind() -> None:
    all_ = [mutant for op in OPS for mutant in found(op)]
    assert len(all_) > 1500
    assert {mutant.kind for mutant in all_} >= {
        *("sign flipped", "term dropped", "factor missing", "scale off", "axis swapped", "sum missing"),
        *("another function", "comparison flipped", "mask dropped", "wrong saved tensor", "wrong gradient"),
        *("wrong gradient pruned", "None not handled", "contribution lost", "in place", "cast dropped", "alias"),
        *("conj missing", "another part"),
    }


def test_inputs_beside_extreme_ones_that_have_no_solution_say_nothing() -> None:
    [row] = [row for row in QUICK if row.name == "extreme inputs"]
    assert run_check(row, original("equations/deep_equilibrium").subject).status in ("passed", "skipped")
