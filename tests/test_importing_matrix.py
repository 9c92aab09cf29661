"""Matrix formulas: those of the Matrix Cookbook and of matrixcalculus.org have torch's value and derivatives."""

# ruff: noqa: N803, PLW0108 - matrices have capital letters, and torch's functions get them by name

from __future__ import annotations

import random
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from importing import Function, agree, builds_or_is_refused, refusal
from torch import linalg

from tensorgrad_gen import SpecError, load_op
from tensorgrad_gen.importing import import_formula

SHAPES = {
    "x": (3,),
    "y": (2,),
    "z": (3,),
    "w": (3,),
    "A": (2, 3),
    "B": (3, 2),
    "S": (3, 3),
    "T": (3, 3),
    "c": (),
    "d": (),
}
LETTERS = {2: "i", 3: "j"}
tr = torch.trace
EYE = torch.eye(3, dtype=torch.float64)

# the formula, the function of torch of the names that it has, in the order of the alphabet
MEANINGS: list[tuple[str, str, Function]] = [
    # The Matrix Cookbook (Petersen and Pedersen, 2012), by section
    ("1 trace of a product", "tr(A*B)", lambda A, B: tr(A @ B)),
    ("2.1 determinant", "det(S)", lambda S: linalg.det(S)),
    ("2.1.1 determinant of a product", "det(S*T)", lambda S, T: linalg.det(S @ T)),
    ("2.1.2 log determinant", "log(det(S'*S))", lambda S: torch.logdet(S.T @ S)),
    ("2.1.4 log determinant of a Gram matrix", "logdet(S'*S)", lambda S: torch.logdet(S.T @ S)),
    ("2.2 inverse", "inv(S)", lambda S: linalg.inv(S)),
    ("2.2 form of an inverse", "x'*inv(S)*z", lambda S, x, z: x @ linalg.inv(S) @ z),
    ("2.2 trace of an inverse", "tr(T*inv(S)*T')", lambda S, T: tr(T @ linalg.inv(S) @ T.T)),
    ("2.4.1 linear", "y'*A*x", lambda A, x, y: y @ A @ x),
    ("2.4.1 transposed", "x'*A'*y", lambda A, x, y: y @ A @ x),
    ("2.4.2 square of a form", "x'*S'*S*x", lambda S, x: (S @ x) @ (S @ x)),
    ("2.4.2 quadratic", "(A*x + y)'*(A*x - y)", lambda A, x, y: (A @ x + y) @ (A @ x - y)),
    ("2.4.2 weighted residual", "(x - S*z)'*T*(x - S*z)", lambda S, T, x, z: (x - S @ z) @ T @ (x - S @ z)),
    ("2.4.3 third power", "tr(S^3)", lambda S: tr(S @ S @ S)),
    ("2.5 trace of a square", "tr(S*S*T)", lambda S, T: tr(S @ S @ T)),
    ("2.5 trace of products", "tr(A'*A*S*T*S')", lambda A, S, T: tr(A.T @ A @ S @ T @ S.T)),
    ("2.5 trace of a sum", "tr((S + T)'*(S - c*eye))", lambda S, T, c: tr((S + T).T @ (S - c * EYE))),
    ("2.6 norm", "norm2(x - z)", lambda x, z: (x - z).norm()),
    ("2.6 direction", "(x - z)/norm2(x - z)", lambda x, z: (x - z) / (x - z).norm()),
    ("2.7 Frobenius norm", "norm2(A)^2", lambda A: (A**2).sum()),
    ("2.8 diagonal", "diag(x)*S*diag(z)", lambda S, x, z: x[:, None] * S * z),
    ("3.2 Woodbury", "inv(diag(x) + B*B')", lambda B, x: linalg.inv(torch.diag(x) + B @ B.T)),
    ("3.2 resolvent", "inv(S + c*eye)*x", lambda S, c, x: linalg.inv(S + c * EYE) @ x),
    # matrixcalculus.org
    ("least squares", "norm2(A*x - y)^2", lambda A, x, y: ((A @ x - y) ** 2).sum()),
    ("ridge", "norm2(A*x-y)^2 + c*norm2(x)^2", lambda A, c, x, y: ((A @ x - y) ** 2).sum() + c * (x**2).sum()),
    ("lasso", "0.5*norm2(A*x - y)^2 + c*norm1(x)", lambda A, c, x, y: ((A @ x - y) ** 2).sum() / 2 + c * x.abs().sum()),
    ("logistic", "sum(log(vector(1) + exp(-y.*(A*x))))", lambda A, x, y: torch.log1p(torch.exp(-y * (A @ x))).sum()),
    ("Rayleigh quotient", "(x'*S*x)/(x'*x)", lambda S, x: (x @ S @ x) / (x @ x)),
    ("factorisation", "norm2(S - B*A)^2", lambda A, B, S: ((S - B @ A) ** 2).sum()),
    ("sine of a form", "y'*sin(A*x)", lambda A, x, y: y @ torch.sin(A @ x)),
    ("entropy", "-x'*log(x)", lambda x: -(x @ x.log())),
    ("sigmoid", "sigmoid(A*x)", lambda A, x: torch.sigmoid(A @ x)),
    ("polynomial kernel", "(x'*z + c)^3", lambda c, x, z: (x @ z + c) ** 3),
    ("Gaussian", "exp(-norm2(x - z)^2/(2*c^2))", lambda c, x, z: torch.exp(-((x - z) ** 2).sum() / (2 * c**2))),
    # the notation
    ("outer product", "x*y'", lambda x, y: torch.outer(x, y)),
    ("row", "x'*S", lambda S, x: x @ S),
    ("each entry", "x.*z./(x + z).^2 - x.^c", lambda c, x, z: x * z / (x + z) ** 2 - x**c),
    ("same entry", "x.*x.*x", lambda x: x**3),
    ("quotient in a sum", "w'*(x./(z.*z))", lambda w, x, z: w @ (x / z**2)),
    ("solution", "S\\x", lambda S, x: linalg.solve(S, x)),
    ("solution of a matrix", "(S + T)\\B", lambda B, S, T: linalg.solve(S + T, B)),
    ("inverse by power", "S^-1*x", lambda S, x: linalg.inv(S) @ x),
    ("transposition by power", "x^T*z", lambda x, z: x @ z),
    ("transposed inverse", "inv(S)'*x", lambda S, x: linalg.inv(S).T @ x),
    ("diagonal of a matrix", "diag(S)", lambda S: torch.diagonal(S)),
    ("diagonal of a product", "x'*diag(B*A)", lambda A, B, x: x @ torch.diagonal(B @ A)),
    ("sums", "sum(A*x) + sum(A) + max(x)", lambda A, x: (A @ x).sum() + A.sum() + x.max()),
    ("trace beside a trace", "tr(S)*tr(T)/det(S)", lambda S, T: tr(S) * tr(T) / linalg.det(S)),
    ("ones", "A - matrix(2) + y*vector(1)'", lambda A, y: A - 2 + y[:, None]),
    ("signs", "-(-x) - -2*-z + +x", lambda x, z: 2 * x - 2 * z),
    ("scalars", "c^d/(2*d)^(1/2) + pi", lambda c, d: c**d / (2 * d) ** 0.5 + torch.pi),
    ("power of a matrix", "S^2*x", lambda S, x: S @ S @ x),
    ("relu", "relu(S*relu(x))", lambda S, x: torch.relu(S @ torch.relu(x))),
    ("name of the result", "loss = x'*x", lambda x: x @ x),
]  # fmt: skip


def names(formula: str) -> list[str]:
    """The names of the formula, in the order of the alphabet."""
    words = formula.replace("x^T", "x'").split("=")[-1]
    return sorted(set(re.findall(r"\b[A-Za-z]\b", words)))


def shapes(found: list[str]) -> str:
    return " ".join(f"{n}[{','.join(LETTERS[e] for e in SHAPES[n])}]" if SHAPES[n] else n for n in found)


def tensor(name: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(ord(name))
    value = torch.rand(SHAPES[name], generator=generator, dtype=torch.float64) + 0.5
    return value + 2 * EYE if name in "ST" else value


@pytest.mark.parametrize(
    ("formula", "function"), [(f, g) for _, f, g in MEANINGS], ids=[title for title, _, _ in MEANINGS]
)
def test_the_op_has_the_value_of_the_formula(formula: str, function: Function) -> None:
    found = names(formula)
    imported = import_formula("matrix", formula, shapes=shapes(found))
    assert all("W405" in warning for warning in imported.warnings)

    def of_torch(*values: torch.Tensor) -> torch.Tensor:
        return function(**dict(zip(found, values)))

    agree(imported.text, of_torch, [tensor(name) for name in found])


Made = tuple[str, torch.Tensor]  # a formula in brackets, and its value


def formula_of(rng: random.Random, rows: int, cols: int, depth: int) -> Made:
    """A random formula of this shape, of the tensors above, and what torch makes of it."""
    fitting = [name for name, shape in SHAPES.items() if (*shape, 1, 1)[:2] == (rows, cols)]
    if (rows, cols) == (2, 2):
        return "(A*B)", tensor("A") @ tensor("B")
    if depth == 0 or rng.random() < 0.15:
        if not fitting:
            text, value = formula_of(rng, cols, rows, 0)
            return f"{text}'", value.T
        name = rng.choice(fitting)
        return name, tensor(name).reshape(rows, cols)
    (a, x), (b, y) = (formula_of(rng, rows, cols, depth - 1) for _ in range(2))
    between = rng.choice([1, 2, 3])
    (left, p), (right, q) = formula_of(rng, rows, between, depth - 1), formula_of(rng, between, cols, depth - 1)
    scalar, factor = formula_of(rng, 1, 1, depth - 1) if depth > 1 else ("c", tensor("c").reshape(1, 1))
    (square, m) = formula_of(rng, 3, 3, depth - 1)
    (column, v) = formula_of(rng, 3, 1, depth - 1)
    choices: list[Made] = [
        (f"({a} + {b})", x + y),
        (f"({a} - {b})", x - y),
        (f"({a}.*{b})", x * y),
        (f"({left}*{right})", p @ q),
        (f"({left}*{right})", p @ q),
        (f"(-{a})", -x),
        (f"({scalar}*{a})", factor * x),
        (f"{a}.^2", x**2),
        (f"sin({a})", torch.sin(x)),
        (f"({a}./(1 + {b}.^2))", x / (1 + y**2)),
    ]
    if (rows, cols) == (1, 1):
        choices = [
            choices[3],
            (f"tr({square})", tr(m).reshape(1, 1)),
            (f"sum({square})", m.sum().reshape(1, 1)),
            (f"norm2({column})^2", (v**2).sum().reshape(1, 1)),
            (f"norm1({column})", v.abs().sum().reshape(1, 1)),
            (f"({scalar}*{a})", factor * x),
        ]
    if (rows, cols) == (3, 3):
        choices += [(f"diag({column})", torch.diag(v[:, 0])), (f"{square}'", m.T), (f"({square}*eye)", m)]
    if (rows, cols) == (3, 1):
        choices += [(f"diag({square})", torch.diagonal(m)[:, None])]
    return rng.choice(choices)


@settings(max_examples=25, derandomize=True)
@given(st.integers(0, 10**9))
def test_the_op_of_any_formula_has_its_value(seed: int) -> None:
    rng = random.Random(seed)
    rows, cols = rng.choice([(1, 1), (2, 1), (3, 1), (3, 3), (2, 3), (1, 3)])
    formula, value = formula_of(rng, rows, cols, 3)
    found = [name for name in SHAPES if re.search(rf"\b{name}\b", formula)]
    imported = import_formula("matrix", formula, shapes=shapes(found))
    assert not imported.warnings
    result = load_op(imported.text)(*(tensor(name) for name in found))
    torch.testing.assert_close(result, value.reshape(result.shape))


def test_a_symmetric_matrix_has_a_symmetric_gradient() -> None:
    text = import_formula("matrix", "x'*A*z", shapes="A[i,i] x[i] z[i]", symmetric=["A"]).text
    assert "structure: symmetric" in text

    def half(A: torch.Tensor, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return x @ (A + A.T) @ z / 2

    matrix = tensor("S")
    agree(text, half, [matrix + matrix.T, tensor("x"), tensor("z")])


def test_a_part_that_occurs_twice_has_one_equation() -> None:
    text = import_formula("matrix", "(A*x - y)'*(A*x - y)", shapes="A[i,j] x[j] y[i]").text
    assert "  r[i] = A[i,j]*x[j] - y[i]\n  f    = r[i]*r[i]\n" in text


ALL = "A[i,j] B[j,i] x[j] y[i] S[j,j] c"


def present(formula: str) -> str:
    """The shapes of the names that the formula has."""
    return " ".join(shape for shape in ALL.split() if re.search(rf"\b{shape.split('[')[0]}\b", formula))


@pytest.mark.parametrize(
    ("formula", "code", "under"),
    [
        ("A*y", "E704", "A*y"),
        ("x*x", "E704", "x*x"),
        ("c*(A*x + x)", "E704", "A*x + x"),
        ("A + B", "E704", "A + B"),
        ("y'*A*y", "E704", "y'*A*y"),
        ("x/y", "E704", "y"),
        ("det(A)", "E704", "A"),
        ("A^2", "E704", "A"),
        ("x^2", "E704", "x^2"),
        ("S^0", "E704", "0"),
        ("S^17", "E704", "17"),
        ("S^c", "E704", "c"),
        ("c^x", "E704", "x"),
        ("norm1(A)", "E704", "norm1(A)"),
        ("vector(x)", "E704", "vector(x)"),
        ("x(y)", "E704", "x(y)"),
        ("eye", "E705", "eye"),
        ("q*x", "E705", "q"),
        ("2*pi", "E701", "2*pi"),
        ("inf(x)", "E302", "inf(x)"),
        ("exp(x, y)", "E313", "exp(x, y)"),
        ("exp()", "E601", ")"),
        ("A*", "E601", ""),
        ("(x", "E601", ""),
        ("", "E601", ""),
        ("x = ", "E601", ""),
        ("A @ x", "E701", "@"),
        ("A#x", "E701", "#"),
        ("x = A*x", "E315", "x"),
        ("exp = x", "E315", "exp"),
        ("c" + "+c" * 300, "E604", ""),
        ("x + 1e999", "E606", "1e999"),
    ],
)  # fmt: skip
def test_what_does_not_conform_gets_a_caret_under_it(formula: str, code: str, under: str) -> None:
    found, text, message = refusal("matrix", formula, shapes=present(formula))
    assert found == code, message
    assert text == under or not under, message


@pytest.mark.parametrize(
    ("given", "code"),
    [("x[i", "E701"), ("x[i,j,k]", "E704"), ("x[i] x[j]", "E315"), ("x[1]", "E311"), ("x[i] q", "E301"),
     ("i x[i]", "E212")],
)  # fmt: skip
def test_bad_shapes_are_refused(given: str, code: str) -> None:
    found, _, message = refusal("matrix", "x", shapes=given)
    assert found == code, message
    assert message.startswith("--shapes:")


def test_what_is_symmetric_is_square() -> None:
    with pytest.raises(SpecError, match=r"--symmetric:1:1: error\[E704\]"):
        import_formula("matrix", "A*x", shapes="A[i,j] x[j]", symmetric=["A"])


PARTS = ["A", "B", "x", "y", "S", "c", "+", "-", "*", ".*", "/", "./", "^", ".^", "'", "(", ")", "2", "exp(",
         "inv(", "tr(", "norm2(", "vector(1)", "eye", "\\", "sum(", "diag(", "1.5", ",", "=", "é", "\x00", "^-1",
         "^2", "det("]  # fmt: skip


@settings(max_examples=250)
@given(st.lists(st.sampled_from(PARTS), max_size=10).map("".join))
def test_any_text_is_built_or_refused(text: str) -> None:
    builds_or_is_refused("matrix", text, shapes=present(text))


@settings(max_examples=100)
@given(st.text(st.sampled_from("xA[]ij,1 ;é\n_"), max_size=12))
def test_any_shapes_are_read_or_refused(text: str) -> None:
    builds_or_is_refused("matrix", "A*x", shapes=text)
