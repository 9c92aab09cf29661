"""Checks of an op against a plain function, for tests of one's own.

from tensorgrad_gen.testing import check_op

def test_layer_norm():
    x, w = torch.randn(3, 4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    check_op(layer_norm, plain_layer_norm, [(x, w)])
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from tensorgrad_gen.verify.model import CheckResult, Function, Outputs, Params, Sample, Subject, Tensors, as_outputs
from tensorgrad_gen.verify.run import run_checks


def check_op(
    op: Function,
    reference: Function,
    samples: Iterable[Sequence[Tensor | None]],
    *,
    orders: int = 2,
    forward: bool = True,
    quick: bool = True,
    seed: int = 0,
    **params: Any,
) -> list[CheckResult]:
    """Every check of `verify` on `op`; raises `AssertionError` with what failed.

    `reference` is the plain formula in torch, called like `op` with the tensors of a sample and `params`; autograd
    differentiates it.  Samples are of double precision and order one, away from kinks; the first is used most.
    `orders` is how often the op may be differentiated (1 or 2), `forward` whether it has a forward mode.
    """
    subject = _subject(op, reference, [tuple(s) for s in samples], params, orders, forward, seed)
    results = run_checks(subject, quick=quick)
    wrong = [f"{r.section} {r.name}: {r.message}" for r in results if r.status == "failed"]
    if wrong:
        raise AssertionError(f"{subject.name}: {len(wrong)} checks failed\n" + "\n".join(wrong))
    return results


def _subject(
    op: Function, reference: Function, samples: list[Tensors], params: Params, orders: int, forward: bool, seed: int
) -> Subject:
    if not samples:
        raise ValueError("check_op needs a sample")
    cases = tuple(Sample(f"sample {k}", tensors, params) for k, tensors in enumerate(samples))

    def plain(tensors: Tensors, given: Params) -> Outputs:
        return as_outputs(reference(*tensors, **given))

    full = [case for case in cases if all(t is None or t.numel() for t in case.tensors)] or list(cases)
    smallest = min(full, key=lambda case: sum(t.numel() for t in case.tensors if t is not None))
    floats = [any(_may_require(case.tensors[k]) for case in cases) for k in range(len(samples[0]))]
    return Subject(
        name=getattr(op, "__name__", "op"),
        op=op,
        reference=plain,
        differentiable=tuple(floats),
        samples=cases,
        tiny=smallest,
        square=smallest,
        names=_names(op, len(samples[0])),
        orders=orders,
        forward=forward,
        module=inspect.getmodule(op),
        seed=seed,
    )


def _may_require(tensor: Tensor | None) -> bool:
    return tensor is not None and (tensor.is_floating_point() or tensor.is_complex())


def _names(op: Function, count: int) -> tuple[str, ...]:
    try:
        names = tuple(inspect.signature(op).parameters)
    except (TypeError, ValueError):
        names = ()
    return names[:count] if len(names) >= count else tuple(f"input {k}" for k in range(count))
