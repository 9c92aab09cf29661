"""`explain`: every line equals the one above it, in every notation, for every op of the library."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tensorgrad_gen.algebra import accesses, by_name, key, simplify, walk
from tensorgrad_gen.derive import jacobian
from tensorgrad_gen.explain import Explanation, Line, explain, graphs, show
from tensorgrad_gen.explain.model import BY, DIFFERENTIAL, new_indices
from tensorgrad_gen.explain.ones import written_out
from tensorgrad_gen.ir import Access, Apply, Expr, Index, Linalg, Program, Root
from tensorgrad_gen.notation import print_expr, print_left, size_names
from tensorgrad_gen.notation.spec_file import spec_lines
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.reference import EvaluationError, environment, sample_inputs
from tensorgrad_gen.reference.evaluator import Evaluator
from tests.oracles import Stages
from tests.programs import random_program

PATHS = {path.stem: path for path in sorted((Path(__file__).parents[1] / "specs").rglob("*.yaml"))}
BASICS = [name for name, path in PATHS.items() if path.parent.name == "basics"]
MORE = """
attention cross_entropy rms_norm logsumexp swiglu cumulative_sum embedding quantile_loss gelu hypot_op
solve logdet gram_form mahalanobis trace_inverse six_index levi_civita_cross pairwise_distance cp_loss
"""
EVALUATED = BASICS + MORE.split()
LARGE = {"lstm_cell", "gru_cell"}  # the same laws many times over


@cache
def program_of(name: str) -> Program:
    program: Program = run(PATHS[name].read_text(encoding="utf-8"), str(PATHS[name]), until="elaborate")["elaborate"]
    return program


@cache
def explained(name: str) -> Explanation:
    return explain(program_of(name), valence=True)


class Values:
    """The tensors of an explanation on one sample: inputs, values, cotangents, and every Jacobian by its law."""

    def __init__(self, explanation: Explanation, program: Program) -> None:
        try:
            inputs, params = sample_inputs(program, 0, small(program))
            self.stages = Stages(program, inputs=inputs, params=params)
        except (EvaluationError, ValueError):  # a window needs longer axes
            self.stages = Stages(program)
        self.env, _ = environment(program, self.stages.inputs, self.stages.params)
        self.env.tensors.update(self.stages.forward())
        cotangents = self.stages.flat_cotangents()
        given = self.env.tensors | cotangents
        self.env.tensors.update(cotangents)
        self.env.tensors.update(self.stages.run(self.stages.derived.adjoint.statements, given))
        self.evaluator = Evaluator(self.env)
        self.program = explanation.program

    def of(self, expr: Expr, free: tuple[Index, ...]) -> np.ndarray[Any, Any]:
        for access in accesses(expr):
            if BY in access.tensor and access.tensor not in self.env.tensors:
                self.env.tensors[access.tensor] = self.by_law(*access.tensor.split(BY))
        with np.errstate(all="ignore"):
            return self.evaluator.assigned(expr, free)

    def by_law(self, of: str, by: str) -> np.ndarray[Any, Any]:
        info = self.program.tensors[of]
        value: Expr = Access(of, info.indices)
        if of != by:
            value = self.program.statement(of).value
        at = new_indices(self.program.tensors[by].indices, self.program)
        if isinstance(value, Apply) and value.function == "clip_gradient":
            value = value.args[0]
        return self.of(jacobian(value, by, at), (*info.indices, *at))


def small(program: Program) -> dict[str, int]:
    given = {symbol for symbol, _ in (*program.size_defs, *program.hints)}
    symbols = [symbol for symbol, _ in program.axes if symbol not in given and symbol != "..."]
    return {symbol: 2 + n % 2 for n, symbol in enumerate(symbols)}


def free_of(left: Expr) -> tuple[Index, ...]:
    if isinstance(left, Access):
        return tuple(s for s in left.subs if isinstance(s, Index))
    return tuple(by_name(left.free))


def unevaluated(line: Line) -> bool:
    return isinstance(line.right, Apply) and line.right.function.startswith(DIFFERENTIAL)


@pytest.mark.parametrize("name", EVALUATED)
def test_every_line_equals_the_one_above(name: str) -> None:
    check_lines(explained(name), program_of(name))


@pytest.mark.parametrize("seed", range(8))
def test_so_does_every_line_of_random_programs(seed: int) -> None:
    program = random_program(Random(seed))
    check_lines(explain(program), program)


def check_lines(explanation: Explanation, program: Program) -> None:
    values = Values(explanation, program)
    checked = 0
    for section in explanation.sections[1:]:
        whole = section.title in ("Substitutions", "Result")
        above: np.ndarray[Any, Any] | None = None
        for line in section.lines:
            if line.left is not None:
                free = free_of(line.left)
                named = isinstance(line.left, Access) and (whole or BY in line.left.tensor)
                above = values.of(line.left, free) if named or not isinstance(line.left, Access) else None
            if unevaluated(line):
                continue
            value = values.of(line.right, free)
            if above is not None:
                np.testing.assert_allclose(value, above, rtol=1e-9, atol=1e-9, err_msg=f"{section.title}: {line}")
                checked += 1
            above = value
    assert checked


@pytest.mark.parametrize("name", [name for name in PATHS if name not in LARGE])
def test_every_op_is_explained_in_every_notation(name: str) -> None:
    explanation = explained(name)
    text, markdown, latex = (show(explanation, style) for style in ("text", "markdown", "latex"))
    assert text.startswith(explanation.program.name)
    for source in (markdown, latex):
        plain = re.sub(r"\\[{}]|`[^`]*`", "", source)
        depth = 0
        for character in plain:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0
        assert depth == 0
        assert source.count(r"\left") == source.count(r"\right")
        assert source.count(r"\begin") == source.count(r"\end")
    assert BY not in text + markdown + latex
    assert set(graphs(explanation.program)) == {"forward.mermaid", "backward.mermaid", "forward.dot", "backward.dot"}


@pytest.mark.parametrize("name", PATHS)
def test_sums_left_out_mean_the_same(name: str) -> None:
    """The equations with implicit sums and one-tensors are the spec language: read back, they are the same program."""
    program = program_of(name)
    if any(isinstance(node, Linalg | Root) for s in program.statements for node in walk(s.value)):
        pytest.skip("a matrix function, or a search, is printed for reading only")
    rows = [
        f"{print_left(s)} = {print_expr(written_out(s.value, s.indices), sizes=size_names(program))}"
        for s in program.statements
    ]
    text = "\n".join(spec_lines(program, "\n".join(rows))) + "\n"
    again: Program = run(text, name, until="elaborate")["elaborate"]
    assert [s.target for s in again.statements] == [s.target for s in program.statements]
    for mine, yours in zip(program.statements, again.statements, strict=True):
        assert key(simplify(mine.value)) == key(simplify(yours.value)), rows


def test_the_derivation_of_a_matrix_product_is_the_textbooks() -> None:
    shown = show(explain(program_of("matmul"), "x", valence=True))
    assert shown.splitlines() == [
        "matmul    y[i,j] = x[i,k] a[k,j]",
        "",
        "Derivative of y by x, on new free indices p, q",
        "  dy[i,j]/dx[p,q] = d(x[i,k] a[k,j])/dx[p,q]",
        "                  = dx[i,k]/dx[p,q] a[k,j]           product rule; a is constant in x",
        "                  = delta[i,p] delta[k,q] a[k,j]     derivative of a tensor by itself",
        "                  = delta[i,p] a[q,j]                delta[k,q] renames k to q",
        "",
        "Gradient",
        "  dl/dx[p,q] = dl/dy[i,j] dy[i,j]/dx[p,q]       chain rule",
        "             = dl/dy[i,j] delta[i,p] a[q,j]",
        "             = dl/dy[p,j] a[q,j]                delta[i,p] renames i to p",
        "",
        "In matrices      dl/dX = dl/dY A^T",
        "In torch         grad_x = grad_y @ a.mT",
        "Jacobian dy/dx   shape (i, j, p, q); a (2,0)-tensor by a (2,0)-tensor: a (2,2)-tensor",
        "Cost             2 I J K flops; nothing saved beyond a",
    ]


def in_numpy(words: str, values: Values) -> Any:
    """A product of matrices as `explain` writes it: vectors are columns, a capital letter is a matrix."""
    result: Any = np.ones((1, 1))
    for word in words.split():
        name = word.removesuffix("^T")
        if re.fullmatch(r"\d+", name):
            result = result * int(name)
            continue
        tensor = re.sub(r"^d(l|L)/d", "grad_", name)
        tensors = {key.lower(): value for key, value in values.env.tensors.items()}
        array = np.asarray(tensors[tensor.lower()])
        array = array.reshape(array.shape[0], -1) if array.ndim else array.reshape(1, 1)
        array = array.T if word.endswith("^T") else array
        result = result * array if 1 in (result.size, array.size) else result @ array
    return result


@pytest.mark.parametrize("name", [n for n, p in PATHS.items() if p.parent.name in ("basics", "linalg")])
def test_the_matrix_notation_is_the_gradient(name: str) -> None:
    values = None
    for section in explained(name).sections:
        for label, text in section.facts:
            if label != "In matrices" or "/N" in text:
                continue
            values = values or Values(explained(name), program_of(name))
            left, right = text.split(" = ")
            signs = re.sub(r"^- ?", "-", right).replace(" - ", " + -").split(" + ")
            value = sum(-in_numpy(s[1:], values) if s.startswith("-") else in_numpy(s, values) for s in signs)
            np.testing.assert_allclose(value, in_numpy(left, values), rtol=1e-9, atol=1e-9, err_msg=text)


def test_latex_writes_partial_derivatives_deltas_and_ones() -> None:
    shown = show(explained("matmul"), "markdown")
    assert r"\frac{\partial l}{\partial x_{pq}} &= \frac{\partial l}{\partial y_{ij}} \, " in shown
    assert r"\delta_{ip} \, \delta_{kq} \, a_{kj}" in shown
    assert r"\mathbf{1}_{b} \, \beta_{h}" in show(explained("layer_norm"), "latex")


def test_a_vanishing_sum_is_shown_to_vanish() -> None:
    shown = show(explain(program_of("layer_norm"), "x"))
    rows = [re.split(r"  +", line.strip())[0] for line in shown.splitlines()]
    at = rows.index("one[h] mu[b,h] = one[h] (x[b,h] - m[b])")
    assert rows[at + 1 : at + 4] == ["= one[h] x[b,h] - H m[b]", "= one[h] x[b,h] - H/H one[h] x[b,h]", "= 0"]
    assert "derivative through the value sigma: d sqrt(u) = 1/(2 sqrt(u))" in shown
    assert "consumed by v and y: two contributions" in shown


def test_the_total_cotangent_of_an_output_that_is_read_again_has_a_name_of_its_own() -> None:
    shown = show(explain(program_of("lstm_cell"), "bf", depth=0))
    assert "Dl/Dcn" in shown


def test_depth_folds_steps() -> None:
    full, folded = (show(explain(program_of("layer_norm"), "x", depth=depth)) for depth in (None, 0))
    assert len(folded.splitlines()) < len(full.splitlines())
    assert "steps" in folded


def test_backward_graph_is_the_forward_one_reversed() -> None:
    found = graphs(explained("layer_norm").program)
    assert "  sigma[sigma] --> y[y]" in found["forward.mermaid"]
    assert "  grad_y[grad_y] --> grad_sigma[grad_sigma]" in found["backward.mermaid"]
    assert '  "grad_y" -> "grad_sigma";' in found["backward.dot"]
