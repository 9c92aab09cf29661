"""The grammar of equations: what is parsed how, and what is refused without exhausting anything."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorgrad_gen.errors import Report, Span
from tensorgrad_gen.spec.model import Fragment
from tensorgrad_gen.syntax import parse_equation, parse_expression, tables
from tensorgrad_gen.syntax import tree as t


def fragment(text: str) -> Fragment:
    return Fragment(text, tuple((1, column + 1) for column in range(len(text) + 1)))


def show(node: t.Tree | t.Subscript | t.Equation) -> str:
    """A tree with every operator in brackets of its own: `<a + b>`."""
    match node:
        case t.Number():
            return str(node.value)
        case t.Name():
            return node.name
        case t.Subscript():
            value = "..." if node.value is None else show(node.value)
            return value if node.divisor is None else f"{value}//{node.divisor}"
        case t.Access():
            return f"{node.name}[{shown(node.subs)}]"
        case t.Call():
            return f"{node.name}({shown(node.args)})"
        case t.Bound():
            return f"{node.name}[{shown(node.subs)}]({shown(node.args)})"
        case t.MatrixCall():
            return f"{node.name}({shown(node.args)})[{shown(node.subs)}]"
        case t.Unary():
            return f"<{node.op} {show(node.operand)}>"
        case t.Binary() | t.Comparison():
            return f"<{show(node.left)} {node.op} {show(node.right)}>"
        case t.Iverson():
            return f"[{show(node.condition)}]"
        case t.Paren():
            return f"({show(node.inner)})"
        case t.Equation():
            return f"{show(node.left)} = {show(node.right)}"


def shown(nodes: tuple[t.Tree, ...] | tuple[t.Subscript, ...]) -> str:
    return ",".join(show(node) for node in nodes)


def expression(text: str, floor_division: bool = False) -> t.Tree:
    report = Report("<text>", text)
    found = parse_expression(fragment(text), report, floor_division=floor_division)
    assert not report.diagnostics, report.diagnostics
    assert found is not None
    return found


def codes(text: str) -> list[str]:
    report = Report("<text>", text)
    assert parse_equation(fragment(text), report) is None
    return [diagnostic.code for diagnostic in report.diagnostics]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b - c", "<<a + b> - c>"),
        ("a*b/c*d", "<<<a * b> / c> * d>"),
        ("a + b*c", "<a + <b * c>>"),
        ("-x^2", "<- <x ^ 2>>"),
        ("2^-x", "<2 ^ <- x>>"),
        ("a**b^c", "<a ^ <b ^ c>>"),
        ("a/-b", "<a / <- b>>"),
        ("not a < b and c or d", "<<<not <a < b>> and c> or d>"),
        ("a or b and c", "<a or <b and c>>"),
        ("a + b <= c*d", "<<a + b> <= <c * d>>"),
        ("[j <= i]*x[j]", "<[<j <= i>] * x[j]>"),
        ("(a + b)*c", "<(<a + b>) * c>"),
        ("sum[h](z)", "sum[h](z)"),
        ("norm[i,j](x[i,j], 2)", "norm[i,j](x[i,j],2)"),
        ("mean[...](x[...])", "mean[...](x[...])"),
        ("inv(x)[b,k,i]", "inv(x)[b,k,i]"),
        ("solve(a, c)[k]", "solve(a,c)[k]"),
        ("det(x)[]", "det(x)[]"),
        ("r[]", "r[]"),
        ("x[..., h]", "x[...,h]"),
        ("x[i//2]", "x[i//2]"),
        ("x[(i+1)//2, j]", "x[(<i + 1>)//2,j]"),
        ("x[2*i+k]", "x[<<2 * i> + k>]"),
        ("x[pad(i+k-1)]", "x[pad(<<i + k> - 1>)]"),
        ("x[pad(i//2)]", "x[pad(<i // 2>)]"),
        ("x[i, t[b]]", "x[i,t[b]]"),
        ("where(j <= i, s[i,j], -inf)", "where(<j <= i>,s[i,j],<- inf>)"),
        (".5 + 1. + 1e-2", "<<1/2 + 1> + 1/100>"),
    ],
)
def test_the_grammar_gives_this_tree(text: str, tree: str) -> None:
    assert show(expression(text)) == tree


def test_floor_division_comes_after_the_whole_subscript() -> None:
    report = Report("<text>", "")
    assert show(parse_expression(fragment("x[i+1//2]"), report) or t.Name("?", Span(1, 1, 1, 1))) == "x[<i + 1>//2]"
    assert [d.code for d in report.diagnostics] == ["W406"]


def test_an_extent_divides_as_python_does() -> None:
    assert show(expression("(N - K)//2 + 1", floor_division=True)) == "<<(<N - K>) // 2> + 1>"
    assert show(expression("ceil(a/b)*x//y", floor_division=True)) == "<<ceil(<a / b>) * x> // y>"


@pytest.mark.parametrize("text", ["y = a//2", "y = f(a//2)", "y = x[a//2 + 1]", "y = x[(a//2)]", "y = x[a//0]"])
def test_floor_division_stands_nowhere_else(text: str) -> None:
    assert codes(text) == ["E601"]


def test_spans_are_the_places_of_the_text() -> None:
    text = "y[b] = exp(2*x[b,h])"
    report = Report("<text>", text)
    equation = parse_equation(fragment(text), report)
    assert equation is not None
    assert isinstance(equation.right, t.Call)
    call = equation.right
    assert isinstance(call.args[0], t.Binary)
    cut = {node: text[span.column - 1 : span.end_column - 1] for node, span in [
        ("equation", equation.span), ("left", equation.left.span), ("call", call.span), ("name", call.name_span),
        ("product", call.args[0].span), ("access", call.args[0].right.span),
    ]}  # fmt: skip
    assert cut == {
        "equation": text,
        "left": "y[b]",
        "call": "exp(2*x[b,h])",
        "name": "exp",
        "product": "2*x[b,h]",
        "access": "x[b,h]",
    }


def test_numbers_are_exact() -> None:
    assert expression("0.1") == t.Number(Fraction(1, 10), Span(1, 1, 1, 4))
    assert expression("1e308") == t.Number(Fraction(10**308), Span(1, 1, 1, 6))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("y = " + "(" * 33 + "x" + ")" * 33, "E604"),
        ("y = " + "[" * 1_000_000, "E604"),
        ("y = " + "-" * 100_000 + "x", "E604"),
        ("y = " + "2^" * 10_000 + "x", "E604"),
        ("y = " + "not " * 10_000 + "x", "E604"),
        ("y = " + "x+" * 300_000 + "x", "E605"),
        ("y = f(" + "i," * 99_999 + "i)", "E605"),
        ("y = 1e999999999999999999", "E606"),
        ("y = " + "9" * 1_000_000, "E606"),
        ("y = a" + " < a" * 10_000, "E602"),
        ("y = " + "\u00e9" * 100_000, "E311"),
        ("y = x y", "E601"),
        ("y = lambda", "E312"),
        ("", "E601"),
        (" ", "E601"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_hostile_text_is_refused_soon(text: str, code: str) -> None:
    equation = fragment(text)
    begun = time.process_time()
    report = Report("<text>", text)
    assert parse_equation(equation, report) is None
    assert [diagnostic.code for diagnostic in report.diagnostics] == [code]
    assert time.process_time() - begun < 5


def test_a_tower_of_powers_is_a_tree_and_no_number() -> None:
    assert show(expression("9^9^9")) == "<9 ^ <9 ^ 9>>"


def test_a_long_sum_is_parsed() -> None:
    assert expression("+".join(["x"] * 20_000)).span.end_column == 40_000


def test_the_nesting_that_is_allowed() -> None:
    expression("(" * 32 + "x[i]" + ")" * 32)
    expression("-(" * 32 + "x[i]^2" + ")" * 32)
    expression("[" * 32 + "i < 3" + "]" * 32)
    expression("x[" * 32 + "i" + "]" * 32)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("xy12.e+-*/^()[],=<>! andorti\t#@\u00e9"), max_size=30))
def test_any_text_has_a_tree_or_an_error(text: str) -> None:
    report = Report("<text>", text)
    equation = parse_equation(fragment(text), report)
    assert (equation is None) == report.failed


LEAVES = st.sampled_from(["x", "2", "0.5", "x[i]", "x[...,h]", "f(x)", "sum[h](x)", "inv(x)[i,j]", "x[i//2]", "r[]"])


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "^"]), inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        inner.map(lambda p: f"-({p})"),
        inner.map(lambda p: f"[({p}) < 2]"),
        st.tuples(inner, inner).map(lambda p: f"max({p[0]}, {p[1]})"),
    )


@settings(max_examples=100, deadline=None)
@given(st.recursive(LEAVES, combined, max_leaves=6))
def test_blanks_do_not_matter(text: str) -> None:
    assert show(expression(text)) == show(expression(text.replace(" ", "")))


def test_the_committed_tables_are_those_of_the_grammar() -> None:
    from tensorgrad_gen.syntax.generate import tables_source

    assert tables.__file__ is not None
    assert Path(tables.__file__).read_text("utf-8") == tables_source()


def test_parsing_imports_no_parser_generator() -> None:
    import subprocess
    import sys

    code = "import sys, tensorgrad_gen.syntax; print('lark' in sys.modules, 'pydantic' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]
