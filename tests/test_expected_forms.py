"""Gradients come out as the closed forms that the textbooks give: equal as sums of terms, up to names."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tensorgrad_gen.algebra import key, map_nodes, simplify, substitute
from tensorgrad_gen.algebra.equal import equal_as_functions
from tensorgrad_gen.algebra.parts import split_coefficient
from tensorgrad_gen.derive.model import Derivatives
from tensorgrad_gen.elaborate import elaborate
from tensorgrad_gen.errors import Report
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Expr,
    Index,
    Mul,
    Program,
    Reduce,
    Scan,
    Statement,
    Sum,
    add,
    const,
    mul,
    sub,
)
from tensorgrad_gen.normalise import normalise
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.spec import load_text
from tests.expected_forms import EXPECTED

PATHS = {path.stem: path for path in sorted((Path(__file__).parents[1] / "specs").rglob("*.yaml"))}
CASES = [(name, of) for name, forms in EXPECTED.items() for of in forms]


@pytest.mark.parametrize(("name", "of"), CASES)
def test_gradient_is_the_closed_form(name: str, of: str) -> None:
    text = PATHS[name].read_text(encoding="utf-8")
    derivatives: Derivatives = run(text, str(PATHS[name]), until="simplify")["simplify"]
    want = expected(derivatives.program, text, EXPECTED[name][of])
    adjoint = {s.target: s for s in derivatives.adjoint.statements}
    found = adjoint[dict(derivatives.adjoint.gradients)[of]]
    got = substitute(inlined(found.value, adjoint), dict(zip(found.indices, want.indices, strict=True)))
    defined = {s.target: s for s in derivatives.program.statements}
    if terms(got) != terms(want.value):  # perhaps through other tensors of the program: take all by their definitions
        opened, want_value = inlined(got, defined), inlined(want.value, defined)
        # What two functions have in common but for their form (1/(1 + exp(m)) and sigmoid(-m)) no key shows.
        assert terms(opened) == terms(want_value) or equal_as_functions(got, want.value, derivatives.program)


@pytest.mark.parametrize("name", EXPECTED)
def test_closed_forms_are_told_from_others(name: str) -> None:
    """Twice the closed form is another function: neither comparison says yes to everything."""
    text = PATHS[name].read_text(encoding="utf-8")
    program: Program = run(text, str(PATHS[name]), until="normalise")["normalise"]
    for form in EXPECTED[name].values():
        value = expected(program, text, form).value
        assert terms(value) != terms(mul(const(2), value))
        assert equal_as_functions(value, value, program)
        assert not equal_as_functions(value, mul(const(2), value), program)


def expected(program: Program, text: str, form: str) -> Statement:
    """The closed form as a statement over the program's own tensors and cotangents."""
    data = YAML(typ="safe").load(text)
    outputs = program.outputs
    form = re.sub(r"\bg\b", f"grad_{outputs[0]}", re.sub(r"\bg_(\w+)", r"grad_\1", form))
    used = set(re.findall(r"\w+", form.split("=", 1)[1]))
    lines = [f"op: expected_{program.name}", "inputs:"]
    for name, info in program.tensors.items():
        letters = [str(index.extent) for index in info.indices]
        labels = next((i.labels for i in program.inputs if i.name == name), None)
        kind = f"kind: {info.kind}" + (f", labels: {labels}" if labels else "")
        lines.append(f"  {name}: {{indices: [{', '.join(letters)}], {kind}}}")
        if name in outputs:
            lines.append(f"  grad_{name}: [{', '.join(letters)}]")
    for section in ("params", "sizes"):
        if data.get(section):
            lines += [f"{section}:", *(f"  {name}: {flow(value)}" for name, value in data[section].items())]
    # A tensor that was replaced by a stable form is defined again, as the spec has it.
    gone = [
        line
        for line in data.get("equations", "").splitlines()
        if re.split(r"\W", line)[0] in used - set(program.tensors)
    ]
    spec_text = "\n".join([*lines, "equations: |", *(f"  {line}" for line in [*gone, form]), ""])
    report = Report("expected", spec_text)
    elaborated = normalise(elaborate(load_text(spec_text, "expected", report), report))
    report.check()
    last = elaborated.statements[-1]
    before = {s.target: s for s in elaborated.statements[:-1]}
    return Statement(last.target, last.indices, inlined(last.value, before))


def flow(value: object) -> str:
    """A value of the spec's as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    return "null" if value is None else str(value)


def inlined(expr: Expr, definitions: dict[str, Statement]) -> Expr:
    """The expression with each of these tensors replaced by its definition, to the bottom."""

    def replace(node: Expr) -> Expr:
        if not isinstance(node, Access) or node.tensor not in definitions:
            return node
        statement = definitions[node.tensor]
        return inlined(substitute(statement.value, dict(zip(statement.indices, node.subs, strict=True))), definitions)

    return map_nodes(expr, replace)


def one_spelling(node: Expr) -> Expr:
    """A softmax as the exponential that a cross-entropy's gradient has: exp(z - logsumexp(z))."""
    if not isinstance(node, Scan) or node.kind != "softmax":
        return node
    own = {index: Index(f"{index.name}_bound", index.extent) for index in node.indices}
    total = Reduce("logsumexp", tuple(own.values()), substitute(node.body, own))
    return Apply("exp", (sub(node.body, total),))


def terms(expr: Expr) -> dict[str, Fraction]:
    """The expression multiplied out: the coefficient of every term, by its canonical key."""
    found: dict[str, Fraction] = {}
    for part in expanded(simplify(map_nodes(expr, one_spelling))):
        coefficient, rest = split_coefficient(part)
        found[key(rest)] = found.get(key(rest), Fraction(0)) + coefficient
    return {name: value for name, value in found.items() if value}


def expanded(expr: Expr) -> list[Expr]:
    """Terms whose sum the expression is, with no sum of terms left in a product."""
    if isinstance(expr, Add):
        return [term for child in expr.terms for term in expanded(child)]
    if isinstance(expr, Mul):
        parts = [mul(*choice) for choice in product(*(expanded(factor) for factor in expr.factors))]
    elif isinstance(expr, Sum):
        bound: tuple[Index, ...] = expr.indices
        parts = [Sum(bound, part) for part in expanded(expr.body)]
    else:
        return [expr]
    whole = simplify(add(*parts))
    return [whole] if not isinstance(whole, Add) and whole == expr else expanded(whole) if whole != expr else parts
