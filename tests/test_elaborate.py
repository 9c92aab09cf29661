"""Elaboration: names, extents, statements; what a program says of its spec."""

from __future__ import annotations

import pytest

from tensorgrad_gen.elaborate import elaborate
from tensorgrad_gen.errors import Report, SpecError
from tensorgrad_gen.ir import Access, Apply, Const, Extent, Index, Iverson, Linalg, Mul, Scan, Size, Sum
from tensorgrad_gen.spec import load_text
from tests.elaborating import build, codes, spec


def test_one_tensors_disappear() -> None:
    program, _ = build(spec("y[i] = one[i]*x\nn = one[k]*one[k]", {"x": "[]", "z": "[i, k]"}))
    assert program.statement("y").value is Access("x", ())
    assert isinstance(program.statement("n").value, Sum)


def test_a_letter_of_the_inputs_names_its_extent() -> None:
    program, _ = build(spec("y[j] = x[j,k]*w[k]", {"x": "[i, k]", "w": "[k]"}))
    assert program.statement("y").indices == (Index("j", "i"),)
    assert program.axes == (("i", (("x", -2),)), ("k", (("x", -1), ("w", -1))))


def test_axes_that_must_agree_are_one_extent() -> None:
    program, _ = build(spec("y[i,k] = x[k,i]", {"x": "[i, k]"}))
    assert program.axes == (("i", (("x", -2), ("x", -1))),)
    assert [index.extent for index in program.inputs[0].indices] == ["i", "i"]


def test_extents_agree_across_equations() -> None:
    program, _ = build(spec("y[p] = x[p]\nz = y[q]*w[q]", {"x": "[i]", "w": "[k]"}))
    assert program.axes == (("i", (("x", -1), ("w", -1))),)


def test_the_same_letter_may_have_two_extents_in_two_equations() -> None:
    program, _ = build(spec("y[p] = x[p]\nz[p] = w[p]", {"x": "[i]", "w": "[k]"}, "outputs: [y, z]"))
    assert [s.indices[0].extent for s in program.statements] == ["i", "k"]


def test_an_axis_along_a_constant_has_an_integer_extent() -> None:
    program, _ = build(spec("y[i] = k[j]*x[i,j]*size(j)", {"x": "[i, n]"}, "constants: {k: [1, -2, 1]}"))
    assert program.inputs[0].indices[1] is Index("n", 3)
    assert program.axes == (("i", (("x", -2),)), ("n", (("x", -1),)))
    assert program.size_defs == (("n", Size("int", (3,))),)


def test_trailing_axes_are_counted_behind_the_ellipsis() -> None:
    program, _ = build(spec("y[...] = x[...,h]*w[h]", {"x": "[..., h]", "w": "[h]"}))
    assert program.axes == (("...", (("x", 1),)), ("h", (("x", -1), ("w", -1))))


def test_sizes_that_the_spec_gives() -> None:
    extra = "params: {n: {default: 2, kind: int}}\nsizes: {H: h, N: {index: i, extent: n*(H - 1)//2}}"
    program, _ = build(spec("y[i] = one[i]*(x[h]*x[h])*N/H", {"x": "[h]"}, extra))
    h, n = Size("size", ("h",)), Size("param", ("n",))
    product = Size("*", (n, Size("-", (h, Size("int", (1,))))))
    assert program.size_defs == (("i", Size("//", (product, Size("int", (2,))))),)
    assert program.size_names == (("H", "h"), ("N", "i"))


def test_hints_are_of_symbols() -> None:
    program, _ = build(spec("y = x[i,j]*x[j,i]", {"x": "[i, j]"}, "hints: {j: 100}"))
    assert program.hints == (("i", 100),)


def test_a_label_is_a_subscript_and_knows_its_axis() -> None:
    inputs = {"x": "[b, w]", "t": "{indices: [b], kind: label, labels: v}"}
    program, _ = build(spec("y[b] = x[b,t[b]]", inputs))
    b = Index("b", "b")
    assert program.statement("y").value is Access("x", (b, Access("t", (b,))))
    assert program.inputs[1].labels == "w"
    assert not program.inputs[1].grad


def test_a_bool_tensor_is_a_number_in_a_product_and_a_condition_in_brackets() -> None:
    program, _ = build(spec("y[i] = m[i]*x[i]\nz[i] = [m[i]]*x[i]", {"x": "[i]", "m": "{indices: [i], kind: bool}"}))
    i = Index("i", "i")
    masked = Mul((Iverson(Access("m", (i,))), Access("x", (i,))))
    assert program.statement("y").value is masked
    assert program.statement("z").value is masked


def test_kinds_of_statements() -> None:
    equations = "p[i] = x[i] > 0\nk = argmax[i](x[i])\ny[i] = [p[i]]*x[k]"
    program, _ = build(spec(equations, {"x": "[i]"}))
    assert [s.kind for s in program.statements] == ["bool", "label", "real"]


def test_defaults_of_functions_are_filled_in() -> None:
    program, _ = build(spec("y[i] = softplus(x[i])", {"x": "[i]"}))
    value = program.statement("y").value
    assert isinstance(value, Apply)
    assert value.args[1] is Const(value.args[1].value)


def test_a_scan_keeps_its_index() -> None:
    program, _ = build(spec("y[i] = softmax[i](x[i])", {"x": "[i]"}))
    i = Index("i", "i")
    assert program.statement("y").value is Scan("softmax", (i,), Access("x", (i,)))


def test_a_matrix_function_is_a_statement_of_its_own_and_shared() -> None:
    equations = "a[b] = inv(x)[b,k,k] + inv(x)[b,i,k]*x[b,k,i]\nc = det(w)"
    program, _ = build(spec(equations, {"x": "[b, i, k]", "w": "[i, k]"}, "outputs: [a, c]"))
    assert [s.target for s in program.statements] == ["inv_x", "a", "det_w", "c"]
    value = program.statement("inv_x").value
    assert isinstance(value, Linalg)
    assert [i.name for i in program.statement("inv_x").indices] == ["b", "k", "i"]


def test_the_name_of_a_matrix_function_does_not_clash() -> None:
    program, _ = build(spec("y = det(x)*det_x", {"x": "[i, k]", "det_x": "[]"}))
    assert [s.target for s in program.statements] == ["det_x_1", "y"]


IMPLICIT = "implicit:\n  unknown: {}\n  equation: {}\n"


def test_an_implicit_identity_is_an_inverse() -> None:
    extra = IMPLICIT.format("y[b,k,j]", "x[b,i,k]*y[b,k,j] = one[b]*delta[i,j]")
    program, _ = build(spec("", {"x": "[b, i, k]"}, extra))
    b, k, j = (Index("b", "b"), Index("k", "i"), Index("j", "i"))
    assert program.statement("y").value is Linalg("inverse", Access("x", (b, j, k)), (j,), (k,), None)
    assert program.statement("y").indices == (b, k, j)


def test_an_implicit_linear_equation_is_a_system() -> None:
    extra = IMPLICIT.format("y[k]", "a[i,k]*y[k] = c[i]")
    program, _ = build(spec("", {"a": "[i, k]", "c": "[i]"}, extra))
    i, k = Index("i", "i"), Index("k", "i")
    assert program.statement("y").value is Linalg("solve", Access("a", (i, k)), (i,), (k,), Access("c", (i,)))


def test_an_implicit_equation_without_matrix_is_a_quotient() -> None:
    extra = IMPLICIT.format("y[b]", "a[b]*y[b] = c[b]") + "  free: [b]\n"
    program, _ = build(spec("", {"a": "[b]", "c": "[b]"}, extra))
    assert isinstance(program.statement("y").value, Mul)


def test_outputs_default_to_the_last_tensor() -> None:
    program, _ = build(spec("y = x*x\nz = x + y", {"x": "[]"}))
    assert program.outputs == ("z",)


def test_the_size_of_the_leading_axes_is_an_extent() -> None:
    program, _ = build(spec("y = mean[...](x[...])", {"x": "[...]"}))
    value = program.statement("y").value
    assert isinstance(value, Mul)
    assert any(child.children and child.children[0] is Extent("...") for child in value.factors)


def test_unused_names_get_warnings() -> None:
    _, found = build(spec("z = x\ny = x*x", {"x": "[]", "w": "[i]"}, "params: {eps: 1}"))
    assert sorted((d.code, d.message) for d in found) == [
        ("W401", "input `w` is not used"),
        ("W401", "param `eps` is not used"),
        ("W402", "tensor `z` is not used"),
    ]


def test_all_independent_errors_are_reported_at_once() -> None:
    equations = "y = x[i]\nz[k] = w[k]\nu[i,i] = x[i]\nv = exp(x[i]*x[i], 2)\nr = q"
    assert codes(spec(equations, {"x": "[i]"})) == ["E203", "E301", "E202", "E313", "E301"]


def test_an_equation_that_does_not_parse_is_not_reported_again_where_it_is_used() -> None:
    assert codes(spec("y = x *\nz = y + 1", {"x": "[]"})) == ["E601"]


def test_ten_thousand_terms_build() -> None:
    equations = "y = " + " + ".join(["x[i]*x[i]"] * 300) + " + " + " * ".join(["z"] * 10_000)
    program, _ = build(spec(equations, {"x": "[i]", "z": "[]"}))
    assert len(program.statements) == 1


def test_functions_that_double_are_stopped() -> None:
    functions = "\n".join(f"  f{n}(z): f{n - 1}(z) + exp(f{n - 1}(z))" for n in range(1, 31))
    text = spec("y = f30(x)", {"x": "[]"}, f"functions:\n  f0(z): z*z\n{functions}")
    assert "E605" in codes(text)


def test_functions_that_nest_too_deeply_are_refused() -> None:
    functions = "\n".join(f"  f{n}(z): f{n - 1}(z)" for n in range(1, 200))
    text = spec("y = f199(x)", {"x": "[]"}, f"functions:\n  f0(z): z*z\n{functions}")
    assert set(codes(text)) == {"E604"}


def test_elaboration_is_deterministic() -> None:
    text = spec("y = exp(x[i]*x[i])*det(w) + w[i,k]*w[k,i]", {"x": "[i]", "w": "[i, k]"})
    assert build(text)[0] == build(text)[0]


def test_errors_are_raised_as_one() -> None:
    text = spec("y = x[i]", {"x": "[i]"})
    report = Report("<text>", text)
    with pytest.raises(SpecError, match="E203"):
        elaborate(load_text(text, "<text>", report), report)
