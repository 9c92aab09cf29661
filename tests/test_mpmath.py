"""Mathematics in 250 digits agrees with the float64 oracle to 1e-10, and with the generated ops in float32 to 1e-5.

At inputs of every size at once, value and gradient: at each point, or normwise where points are added up.  What a
change of the inputs in their last digit changes is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mpmath import mp, mpf
from torch import Tensor

from tensorgrad_gen.functions import FUNCTIONS as TABLE
from tensorgrad_gen.ir import Input, Program
from tensorgrad_gen.normalise import normalise
from tensorgrad_gen.reference import sample_inputs
from tensorgrad_gen.verify import functions as oracle
from tensorgrad_gen.verify.composed import compose
from tests.full_road import as_tuple, build_spec
from tests.mp_functions import FUNCTIONS
from tests.mp_interpreter import DIGITS, STEP, evaluate, gradients

SPECS = Path(__file__).parents[1] / "specs"
SIZES = (1e-6, 1e-4, 0.3, 0.9, 2.5, 7.0, 20.0, 88.0, 200.0, 1e4)
POINTS = [sign * size for size in SIZES for sign in (1.0, -1.0)]
Array = np.ndarray[Any, Any]

# -- the oracle's functions ---------------------------------------------------------------------

ORDERS = {"polygamma": (1, 2), "exprel": (1, 2, 3), "exp_moment": (0, 1, 2, 3), "spherical_bessel": (0, 1, 2, 3)}
OTHERS = {"softplus": (1.0,), "leaky_relu": (0.01,), "elu": (1.0,), "clamp": (-1.0, 1.0)}
OF_ONE = [n for n in FUNCTIONS if n in oracle.FUNCTIONS and n not in ("stop_gradient", "conj", "floor", "ceil")]
CALLS = [
    *((name, (order,), ()) for name, orders in ORDERS.items() for order in orders),
    *((name, (), OTHERS.get(name, ())) for name in OF_ONE if name not in ORDERS and len(TABLE[name].parameters) == 1),
    *((name, (), others) for name, others in OTHERS.items()),
]


def slope(function: Any, x: float) -> tuple[Any, Any] | None:
    """Value and derivative at a point; None if there is no real value."""
    try:
        ahead, value, behind = (function(mpf(x) + step) for step in (STEP, 0, -STEP))
    except (ValueError, ZeroDivisionError):
        return None
    if not all(isinstance(v, mpf) and mp.isfinite(v) for v in (ahead, value, behind)):
        return None
    return value, (ahead - behind) / (2 * STEP)


@pytest.mark.parametrize(("name", "first", "last"), CALLS, ids=[f"{n}{f or ''}" for n, f, _ in CALLS])
def test_functions_of_the_oracle_and_their_derivatives_are_exact(
    name: str, first: tuple[float, ...], last: tuple[float, ...]
) -> None:
    tried = 0
    with mp.workdps(DIGITS):
        for x in POINTS:
            known = slope(lambda z: FUNCTIONS[name](*first, z, *map(mpf, last)), x)
            if known is None or max(map(abs, known)) > 1e300:
                continue
            z = torch.tensor(x, dtype=torch.float64, requires_grad=True)
            value = oracle.FUNCTIONS[name](*map(z.new_tensor, first), z, *map(z.new_tensor, last))
            (derivative,) = torch.autograd.grad(value, z) if value.requires_grad else (torch.zeros_like(z),)
            for what, got, want in zip(("value", "derivative"), (value.item(), derivative.item()), known):
                assert abs(got - want) <= 1e-10 * abs(want) + 1e-300, f"{what} at {x}: {got!r}, not {mp.nstr(want, 17)}"
            tried += 1
    assert tried >= 4


# -- the library's ops ----------------------------------------------------------------------------

OPS = {
    "activations": (
        "atan2_op clamp_op elu erf_op exp_op gelu gelu_tanh hypot_op leaky_relu log_cosh log_op logsigmoid mish "
        "reciprocal relu relu_squared rsqrt_op sigmoid sigmoid_from_exp silu sinc softplus softplus_from_log sqrt_op "
        "square_op swish_from_exp tanh_from_exp tanh_op xlogx"
    ),
    "losses": (
        "bce bce_with_logits cross_entropy cross_entropy_dense dpo focal gaussian_nll hinge huber jsd kl_div "
        "log_cosh_loss mae mse nll poisson_nll quantile_loss triplet vae_kl"
    ),
    "nn": (
        "cosine_similarity entropy geglu gru_cell l2_normalize layer_norm_affine log_softmax logsumexp lstm_cell "
        "masked_softmax rms_norm softmax swiglu"
    ),
    "basics": "norm quotient softmax_cross_entropy standardize variance",
    "kernels": "gaussian_kernel_sum soft_assignment",
}
POINTWISE = [f"activations/{name}" for name in OPS["activations"].split()]
NAMES = [f"{group}/{name}" for group, names in OPS.items() for name in names.split()]
KINDS = {"real": torch.float64, "bool": torch.bool, "label": torch.int64}


@cache
def built(name: str) -> tuple[Any, Program, Program]:
    """The generated op, the program as the spec says it, and its normal form."""
    op, compiled = build_spec((SPECS / f"{name}.yaml").read_text())
    program = compiled["elaborate"]
    return op, program, normalise(program)


def extreme(item: Input, array: Any, rng: np.random.Generator) -> Any:
    """Numbers of every size, near those of `SIZES` so that no two are equal; a domain's own where it has another."""
    if array is None or item.kind != "real":
        return array
    if item.domain in ("real", "nonzero", "positive"):
        sizes = rng.choice(SIZES, array.shape) * rng.uniform(0.9, 1.0, array.shape)
        array = sizes if item.domain == "positive" else sizes * rng.choice([-1.0, 1.0], array.shape)
    return array.astype(np.float32).astype(np.float64)


Results = tuple[dict[str, Array], dict[str, Array]]


def run(function: Any, program: Program, inputs: Mapping[str, Any], dtype: torch.dtype) -> Results:
    """Outputs, and gradients of their weighted sum."""
    given = []
    for item in program.inputs:
        array = inputs[item.name]
        tensor = None if array is None else torch.as_tensor(np.array(array)).to(KINDS[item.kind])
        real = tensor is not None and item.kind == "real"
        given.append(tensor.to(dtype).requires_grad_(item.grad) if tensor is not None and real else tensor)
    outputs = as_tuple(function(given))
    wanted = {i.name: t for i, t in zip(program.inputs, given) if t is not None and t.requires_grad}
    pairs = [(o, torch.as_tensor(weights(o.shape)).to(o.dtype)) for o in outputs if o.requires_grad]
    total = [o for o, _ in pairs]
    found = torch.autograd.grad(total, list(wanted.values()), [w for _, w in pairs], materialize_grads=True)
    named = dict(zip(program.outputs, (o.detach().double().numpy() for o in outputs), strict=True))
    return named, {n: g.double().numpy() for n, g in zip(wanted, found, strict=True)}


def weights(shape: Sequence[int]) -> Array:
    """Of an output in the sum that is differentiated: numbers of order one that float32 has."""
    return np.resize([0.75, -1.25, 0.5, 1.0, -0.625], math.prod(shape)).reshape(shape)


def nudged(inputs: Mapping[str, Any], program: Program, unit: float, seed: int) -> dict[str, Any]:
    """The real inputs changed in the last digit."""
    rng = np.random.default_rng(seed)
    real = {i.name for i in program.inputs if i.kind == "real"}
    return {
        n: a * (1 + unit * rng.choice([-1.0, 1.0], np.shape(a))) if n in real and a is not None else a
        for n, a in inputs.items()
    }


def compare(got: Results, want: Results, near: list[Results], single: bool, pointwise: bool) -> list[str]:
    """Where they differ by more than is allowed: at each point, or, of what is added up, of the largest number."""
    tolerance, largest, least = (1e-5, 1e30, 1e-37) if single else (1e-10, 1e290, 1e-300)
    found = []
    for what, part in (("value", 0), ("gradient", 1)):
        for name, right in want[part].items():
            right = np.where(np.abs(right) < largest, right, 0).astype(np.float64)
            judged = np.asarray(np.abs(want[part][name]) < largest, dtype=bool)
            here = near[0][part][name]
            spread = np.max([np.abs(n[part][name] - here) for n in near[1:]], axis=0)
            size = np.abs(right)
            if not pointwise:
                spread, size = (np.full(right.shape, np.max(a, initial=0.0, where=judged)) for a in (spread, size))
                size = np.maximum(size, 1.0)  # the rounding of terms of order one that cancel
            bad = judged & ~(np.abs(got[part][name] - right) <= tolerance * size + 8 * spread + least)
            if bad.any():
                found.append(f"{what} of {name}: {got[part][name][bad][:3]}, not {right[bad][:3]}")
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_oracle_and_op_are_the_exact_function(name: str, seed: int) -> None:
    op, program, normal = built(name)
    rng = np.random.default_rng(seed)
    small = {symbol: 2 for symbol, _ in program.axes if symbol != "..."}
    inputs, params = sample_inputs(program, seed, small, (2,))
    inputs = {item.name: extreme(item, inputs[item.name], rng) for item in program.inputs}
    required = {p.name: int(params[p.name]) if p.kind == "int" else params[p.name] for p in program.params}

    def formula(given: list[Tensor | None]) -> tuple[Tensor, ...]:
        return compose(normal, given, params)

    with mp.workdps(DIGITS):
        values = evaluate(program, inputs, params)
        exact = values, gradients(program, inputs, params, {o: weights(v.shape) for o, v in values.items()})
    assert any(np.any(np.abs(v) < 1e30) for part in exact for v in part.values())  # there is something to compare
    precise = run(formula, program, inputs, torch.float64)
    single = run(lambda given: op(*given, **required), program, inputs, torch.float32)
    found = []
    for what, got, unit in (("oracle", precise, 2.0**-53), ("op", single, 2.0**-24)):
        near = [run(formula, program, nudged(inputs, program, unit, k), torch.float64) for k in range(4)]
        found += [f"{what}: {c}" for c in compare(got, exact, [precise, *near], what == "op", name in POINTWISE)]
    assert not found, "\n".join([str(inputs), *found])
