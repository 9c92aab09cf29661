"""The rulebook, rule by rule: every rewrite keeps the value, and the forbidden moves are not made."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from programs import random_program

from tensorgrad_gen.algebra import RULES, all_indices, key, simplify, step
from tensorgrad_gen.derive import jacobian
from tensorgrad_gen.derive.modes import free_names
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    Iverson,
    Linalg,
    Logic,
    Mul,
    Position,
    Pow,
    Sum,
    Where,
    add,
    const,
    mul,
    power,
    total,
)
from tensorgrad_gen.ir.build import ONE, ZERO
from tensorgrad_gen.reference import Env, evaluate_expr
from tensorgrad_gen.reference.values import Value, axes_in

i, j, k, m = (Index(n, "n") for n in "ijkm")
h = Index("h", "h")
EXTENTS = {"n": 3, "h": 4, "a": 2, "b": 3, "c": 4}


def A(name: str, *subs: Index | Expr) -> Access:  # noqa: N802  (reads like the mathematics)
    return Access(name, subs)


def random_env(seed: int) -> Env:
    rng = np.random.default_rng(seed)
    shapes = {
        "f": (3,), "g": (3,), "p": (3, 3), "q": (3, 4), "s": (), "r": (4,),
        "x": (2, 3), "y": (3, 4), "z": (2,), "w": (4, 2, 4), "ct": (2, 3, 4),
    }  # fmt: skip
    tensors = {name: rng.standard_normal(shape) + 0.1 for name, shape in shapes.items()}
    tensors["p"] = tensors["p"] + 3 * np.eye(3)
    tensors["l"] = rng.integers(0, 3, (3,))
    tensors["t"] = rng.integers(0, 3, (2,))
    tensors["u"] = rng.standard_normal((3,)) + 1j * rng.standard_normal((3,))
    tensors["s"] = np.asarray(rng.random() + 0.5)
    return Env(tensors, {"p": 1.5}, EXTENTS)


def value(expr: Expr, env: Env) -> Value:
    return Value(*evaluate_expr(expr, env))


def same(before: Expr, after: Expr, env: Env) -> bool:
    """Equal values on the indices of the left side; an index that the right side lost is a broadcast."""
    with np.errstate(all="ignore"):
        left, right = value(before, env), value(after, env)
    if not set(right.indices) <= set(left.indices):
        return False
    return np.allclose(left.array, axes_in(right, left.indices), rtol=1e-8, atol=1e-9, equal_nan=True)


def check_every_step(expr: Expr, env: Env, fired: Counter[str]) -> None:
    for _ in range(300):
        found = step(expr)
        if found is None:
            return
        row, before, after, whole = found
        assert same(before, after, env), f"{row.name}: {before} -> {after}"
        fired[row.name] += 1
        expr = whole
    raise AssertionError("no fixed point after 300 steps")


POSITIVE = Compare(">", A("f", k), const(0))
SHIFTED = Add((Position(j), Position(k)))
INSTANCES: list[Expr] = [
    *(Apply(part, (Apply("conj", (A("u", i),)),)) for part in ("conj", "real", "imag")),
    *(Apply(part, (Apply("complex", (A("f", i), A("g", i))),)) for part in ("conj", "real", "imag")),
    Apply("complex", (ZERO, Apply("imag", (const(2),)))),
    Add((A("f", i), Add((A("g", i), const(2))), const(3), ZERO)),
    Add((mul(const(2), A("f", i)), A("f", i))),
    Add((Sum((j,), mul(A("p", i, j), A("f", j))), Sum((k,), mul(A("f", k), A("p", i, k))))),
    Mul((const(2), Mul((A("f", i), const(3))), ONE)),
    Mul((A("f", i), power(A("f", i), 2), power(A("f", i), -1))),
    Mul((A("f", i), Apply("sign", (A("f", i),)), A("g", i))),
    Pow(Pow(A("f", i), const(2)), const(Fraction(1, 2))),
    Mul((Delta(i, j), Delta(i, j), A("f", i))),
    Mul((A("f", i), Add((mul(Delta(i, j), A("g", j)), A("s"))))),
    Mul((Delta(i, j), A("p", i, j))),
    Mul((Delta(i, A("l", j)), A("p", i, j))),
    Mul((Delta(i, A("l", j)), Position(i))),
    Delta(i, i),
    Delta(A("l", i), A("l", j)),
    Compare("<", const(1), const(2)),
    Compare("<=", Position(i), Position(i)),
    Logic("not", (Logic("not", (Compare("<", A("f", i), const(0)),)),)),
    Logic("and", (Compare("<", A("f", i), const(0)), Compare("==", ONE, ONE))),
    Logic("and", (Compare(">", A("f", i), const(0)), Compare("!=", A("f", i), const(0)))),
    Logic("or", (Compare("==", A("f", i), const(0)), Compare("<=", A("f", i), const(0)))),
    Mul((Iverson(Compare("<", const(2), const(1))), A("f", i))),
    Where(Compare("<", A("f", i), const(0)), A("g", i), ZERO),
    Where(Compare("<", A("f", i), const(0)), ZERO, A("g", i)),
    Where(Compare("<", A("f", i), const(0)), A("g", i), A("g", i)),
    Add((mul(Iverson(POSITIVE), A("g", k)), mul(Iverson(Logic("not", (POSITIVE,))), A("g", k)), A("f", k))),
    Add(
        (
            mul(const(2), Iverson(Compare("==", A("f", i), ONE)), A("g", i), Iverson(Compare("<", A("g", i), ONE))),
            mul(const(2), Iverson(Compare("!=", A("f", i), ONE)), A("g", i), Iverson(Compare("<", A("g", i), ONE))),
        )
    ),
    Pow(A("f", i), ONE),
    Pow(Pow(A("f", i), const(3)), const(2)),
    Pow(Mul((const(2), A("f", i), A("g", j))), const(-2)),
    Apply("sqrt", (power(A("f", i), 2),)),
    Apply("pow", (A("f", i), const(3))),
    Sum((i,), ZERO),
    Sum((i,), Sum((j,), A("p", i, j))),
    Sum((i,), Sum((i,), A("f", i))),
    Sum((i, j), A("f", i)),
    Sum((i,), ONE),
    Sum((i, j), mul(Delta(i, j), A("p", i, j))),
    Sum((i,), mul(Delta(i, A("l", j)), A("p", i, j))),
    Sum((i,), Add((mul(Delta(i, j), A("f", i)), A("g", i)))),
    Sum((i,), mul(A("s"), A("f", i), power(Extent("n"), -1))),
    Sum((i,), mul(A("f", i), Sum((j,), A("p", i, j)))),
    Sum((i,), mul(A("f", i), Sum((j,), mul(A("p", i, j), Sum((k,), A("p", j, k)))))),
    Sum((i, j), mul(A("f", i), A("g", j))),
    Sum((j,), mul(A("g", j), Sum((k,), mul(Iverson(POSITIVE), Delta(i, SHIFTED), A("f", k))))),
    Sum((j,), mul(A("g", j), Add((Sum((k,), mul(Delta(i, SHIFTED), A("f", k))), A("p", i, j))))),
    Sum((j,), mul(A("g", j), Linalg("solve", A("p", k, j), (k,), (j,), mul(Delta(k, m), A("f", m))))),
    Sum((j,), mul(A("g", j), Linalg("solve", A("p", k, j), (k,), (j,), ZERO))),
    Sum((i, j), mul(A("p", j, i), Linalg("exp_change", A("p", i, j), (i,), (j,), mul(Delta(i, k), Delta(j, m))))),
]  # fmt: skip


def test_every_rule_fires_and_keeps_the_value() -> None:
    fired: Counter[str] = Counter()
    for seed in range(3):
        env = random_env(seed)
        for expr in INSTANCES:
            check_every_step(expr, env, fired)
    names = {row.name for rows in RULES.values() for row in rows}
    assert not names - set(fired), f"rules that no instance tries: {sorted(names - set(fired))}"


@pytest.mark.parametrize("seed", range(25))
def test_rules_keep_the_value_on_derivatives_of_random_programs(seed: int) -> None:
    program = random_program(Random(seed), 2)
    env = random_env(seed)
    statement = program.statements[0]  # it reads inputs alone
    fired: Counter[str] = Counter()
    if total(statement.value) > 60:
        return
    for item in program.inputs:
        if item.kind == "real" and item.name != "s":
            at = free_names(item.indices, all_indices(statement.value))
            derivative = jacobian(statement.value, item.name, at)
            if total(derivative) < 150:
                check_every_step(derivative, env, fired)


def test_keys_ignore_names_of_dummies_and_order() -> None:
    one = Sum((i, j), mul(A("f", i), A("p", i, j), A("g", j)))
    other = Sum((k, m), mul(A("g", m), A("f", k), A("p", k, m)))
    swapped = Sum((k, m), mul(A("g", k), A("f", m), A("p", k, m)))
    assert key(one) == key(other)
    assert key(one) != key(swapped)


def test_symmetric_contractions_have_one_key() -> None:
    cycle = Sum((i, j, k), mul(A("p", i, j), A("p", j, k), A("p", k, i)))
    turned = Sum((m, k, i), mul(A("p", k, i), A("p", i, m), A("p", m, k)))
    assert key(cycle) == key(turned)


# -- forbidden moves --------------------------------------------------------------------------


def test_no_function_is_distributed_over_a_contraction() -> None:
    expr = Apply("exp", (Sum((i,), A("f", i)),))
    assert simplify(expr) is expr


def test_a_sum_of_terms_is_not_split_without_a_delta() -> None:
    expr = Sum((i,), add(A("f", i), mul(const(-1), A("s"))))
    assert simplify(expr) is expr


def test_a_power_of_a_contraction_is_not_flattened() -> None:
    expr = Sum((j,), mul(power(Sum((i,), mul(A("f", i), A("p", i, j))), 2), A("g", j)))
    assert isinstance(simplify(expr), Sum)
    assert "^(sum" in key(simplify(expr))


def test_an_index_that_is_lost_leaves_its_extent() -> None:
    assert simplify(Sum((i,), A("s"))) is mul(Extent("n"), A("s"))


def test_dummies_are_renamed_apart() -> None:
    product = Sum((i,), mul(A("f", i), Sum((i,), A("g", i)), Sum((j,), A("p", i, j))))
    result = simplify(product)
    for seed in range(2):
        assert same(product, result, random_env(seed))


def test_a_mask_keeps_its_scope() -> None:
    masked = Sum((j,), mul(Iverson(Compare("<=", Position(j), Position(i))), A("f", j)))
    expr = Sum((i,), mul(A("g", i), masked))
    assert masked in (simplify(expr).body.children)  # type: ignore[attr-defined]


def test_a_constant_is_a_fraction() -> None:
    assert isinstance(simplify(power(const(2), -2)), Const)
