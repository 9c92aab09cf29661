"""Loading a spec: what each key becomes, and that every character knows its place."""

from __future__ import annotations

import os
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorgrad_gen.errors import Report, SpecError
from tensorgrad_gen.spec import load_file, load_text, read_text
from tensorgrad_gen.spec.model import Fragment
from tensorgrad_gen.spec.nodes import Composer, Mapping, Scalar
from tensorgrad_gen.spec.numbers import BadNumberError, parse_number
from tensorgrad_gen.spec.places import Places

ROOT = Path(__file__).resolve().parents[1]
FULL = """\
op: full  # the op
doc: >-
  Everything at once
  (nobody, never).
inputs:
  x: [b, h]
  gamma: {indices: [h], default: 1, domain: positive}
  t: {indices: [b], kind: label, labels: h}
  m: {indices: [i, j], kind: bool, doc: a mask}
  w: {indices: [i, j], structure: symmetric, grad: false, domain: [-1, 2.5], upper: [i]}
  z: [..., h]
  s: []
params: {eps: 1.0e-5, n: {default: 2, kind: int}, p: null, q: {kind: int}, r: -1/3}
constants: {k: [[1, -2, 1], [0, 1/2, 0]], c: 3}
sizes: {H: h, N: {index: i, extent: "(n + 1)//2"}}
functions:
  f(z): z/2
  g(z, a): z*a
equations: |
  y[b]   = x[b,h] * gamma[h]   # a sum
           + 1
  # a comment
  u[b,h] = f(
  x[b,h])
outputs: [y, u]
derivatives: [jvp, hvp]
differentiable: once
save: inputs
chunk: {index: b, count: 8}
hints: {b: 1e3, h: 768}
target: custom_op
"""
SMALL = "op: small\ninputs: {x: [i]}\n"


def texts(fragments: tuple[Fragment, ...]) -> list[str]:
    return [fragment.text for fragment in fragments]


def check_places(fragment: Fragment, file: str) -> None:
    """Every character that is no blank stands where its place says, in the file's text."""
    lines = file.replace("\r\n", "\n").split("\n")
    assert len(fragment.places) == len(fragment.text) + 1
    for character, (line, column) in zip(fragment.text, fragment.places):
        assert character.isspace() or lines[line - 1][column - 1] == character


def code_of(text: str, path: str = "<text>") -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_text(text, path)
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_inputs() -> None:
    inputs = {i.name.text: i for i in load_text(FULL).inputs}
    assert list(inputs) == ["x", "gamma", "t", "m", "w", "z", "s"]
    assert [i.text for i in inputs["z"].indices] == ["...", "h"]
    assert inputs["s"].indices == ()
    assert (inputs["x"].grad, inputs["t"].grad, inputs["w"].grad) == (True, False, False)
    assert (inputs["gamma"].default, inputs["gamma"].domain) == (1, "positive")
    assert (inputs["t"].kind, inputs["t"].labels and inputs["t"].labels.text) == ("label", "h")
    assert inputs["w"].domain == (Fraction(-1), Fraction(5, 2))
    assert (inputs["w"].structure, [u.text for u in inputs["w"].upper or ()]) == ("symmetric", ["i"])
    assert inputs["m"].doc == "a mask"


def test_scalars_and_constants() -> None:
    spec = load_text(FULL)
    assert [(p.name.text, p.default, p.kind) for p in spec.params] == [
        ("eps", Fraction(1, 100000), "real"),
        ("n", 2, "int"),
        ("p", None, "real"),
        ("q", None, "int"),
        ("r", Fraction(-1, 3), "real"),
    ]
    assert [(c.name.text, c.shape) for c in spec.constants] == [("k", (2, 3)), ("c", ())]
    assert spec.constants[0].values == (1, -2, 1, 0, Fraction(1, 2), 0)


def test_the_rest() -> None:
    spec = load_text(FULL)
    assert spec.doc == "Everything at once (nobody, never)."
    assert [(s.name.text, s.index.text, s.extent and s.extent.text) for s in spec.sizes] == [
        ("H", "h", None),
        ("N", "i", "(n + 1)//2"),
    ]
    assert [(f.name.text, [a.text for a in f.arguments], f.body.text) for f in spec.functions] == [
        ("f", ["z"], "z/2"),
        ("g", ["z", "a"], "z*a"),
    ]
    assert texts(spec.equations) == ["y[b]   = x[b,h] * gamma[h] + 1", "u[b,h] = f( x[b,h])"]
    assert [d.text for d in spec.derivatives] == ["vjp", "jvp", "hvp"]
    assert (spec.differentiable, spec.save, spec.target) == ("once", "inputs", "custom_op")
    assert spec.chunk is not None
    assert (spec.chunk[0].text, spec.chunk[1]) == ("b", 8)
    assert [(name.text, extent) for name, extent in spec.hints] == [("b", 1000), ("h", 768)]


def test_what_is_left_out() -> None:
    spec = load_text("op: least\ninputs: {}\nequations: y = 1\n")
    assert [d.text for d in spec.derivatives] == ["vjp", "jvp"]
    assert (spec.outputs, spec.chunk, spec.implicit) == (None, None, None)
    assert (spec.differentiable, spec.save, spec.target) == ("any", "auto", "function")


def test_implicit() -> None:
    text = SMALL + (
        "implicit:\n  unknown: y[i]\n  equation: y[i]^3 =\n    x[i]\n  free: [i]\n  solver: newton\n"
        "  start: x[i]\n  tolerance: 1e-12\n  iterations: 50\n"
    )
    implicit = load_text(text).implicit
    assert implicit is not None
    assert (implicit.unknown.text, implicit.equation.text) == ("y[i]", "y[i]^3 = x[i]")
    assert implicit.start is not None
    assert (implicit.tolerance, implicit.iterations, implicit.start.text) == (Fraction(1, 10**12), 50, "x[i]")


def test_words_that_yaml_would_turn_into_something_else() -> None:
    spec = load_text("op: on\ninputs: {y: [n], no: [off]}\nequations: z = y[n]*no[off]\n")
    assert (spec.name.text, [i.name.text for i in spec.inputs]) == ("on", ["y", "no"])
    assert spec.inputs[1].indices[0].text == "off"


def report() -> Report:
    return Report("<text>", "")


@pytest.mark.parametrize(
    "equations",
    [
        "equations: |\n  y[i] = 2*x[i]\n  z[i] = 3*x[i]\n",
        "equations: |-\n\n  y[i] = 2*x[i]  # twice\n\n\n  # thrice\n  z[i] = 3*x[i]",
        "equations: |2\n  y[i] = 2*x[i]\n  z[i] = 3*x[i]\n\n",
        "equations: |+  # why\n      y[i] = 2*x[i]\n      z[i] = 3*x[i]\n\n",
        "equations:\n  - y[i] = 2*x[i]\n  - z[i] = 3*x[i]  # thrice\n",
        """equations:\n- "y[i] = 2*x[i]"\n- 'z[i] = 3*x[i]'\n""",
        "equations: ['y[i] = 2*x[i]', \"z[i] = \\\n   3*x[i]\"]\n",
        "equations:\n  - >-\n    y[i] =\n    2*x[i]\n  - |\n    z[i] =\n      3*x[i]\n",
        'equations:\n  - y[i] =\n      2*x[i]\n  - "z[i]\n\n   = 3*x[i]"\n',
        "equations: |\n  y[i] = 2*x[i]\n  z[i] =\n\n      # thrice\n    3*x[i]\n",
    ],
)
def test_the_ways_to_write_equations(equations: str) -> None:
    spec = load_text(SMALL + equations)
    assert [" ".join(text.split()) for text in texts(spec.equations)] == ["y[i] = 2*x[i]", "z[i] = 3*x[i]"]
    for fragment in spec.equations:
        check_places(fragment, spec.text)


def test_a_line_continues_while_a_bracket_is_open_or_the_next_is_indented_deeper() -> None:
    block = "equations: |\n  y[i] = (x[i]\n  + 1)\n  z[i] = x[i]\n    + 1\n      + 2\n    + 3\n  w = 1\n"
    assert texts(load_text(SMALL + block).equations) == ["y[i] = (x[i] + 1)", "z[i] = x[i] + 1 + 2 + 3", "w = 1"]


def test_a_bracket_that_is_forgotten_does_not_swallow_the_next_equation() -> None:
    block = "equations: |\n  y[i] = (x[i]\n  z[i] = x[i]\n"
    assert texts(load_text(SMALL + block).equations) == ["y[i] = (x[i]", "z[i] = x[i]"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("specs/**/*.yaml")), ids=lambda path: path.stem)
def test_the_library_loads_and_every_character_has_its_place(path: Path) -> None:
    spec = load_file(path)
    for fragment in (*spec.equations, *(f.body for f in spec.functions)):
        check_places(fragment, spec.text)


def node(text: str) -> tuple[Scalar, str]:
    made = report()
    root = Composer(text, made).compose()
    assert isinstance(root, Mapping)
    value = root.entries[0][1]
    assert isinstance(value, Scalar)
    return value, text


LINES = st.lists(st.text("ab \t'\"\\:#-|>\u00e9", max_size=8).map(str.strip), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(LINES, st.sampled_from(["|", "|-", "|+", ">", ">-"]), st.integers(1, 4))
def test_places_in_blocks(lines: list[str], header: str, indent: int) -> None:
    body = "".join(" " * indent + line + "\n" for line in ["x", *lines])
    scalar, text = node(f"k: {header}\n{body}z: 1\n")
    fragment = Places(text).fragment(scalar)
    assert fragment.text == scalar.text
    check_places(fragment, text)


@settings(max_examples=150, deadline=None)
@given(LINES)
def test_places_in_single_quotes(lines: list[str]) -> None:
    quoted = "\n  ".join(line.replace("'", "''") for line in ["x", *lines])
    scalar, text = node(f"k: '{quoted}'\nz: 1\n")
    check_places(Places(text).fragment(scalar), text)


def test_places_in_double_quotes() -> None:
    scalar, text = node('k: "a\\x41 \\n\\"b\\u00e9 \\\n   c"\n')
    fragment = Places(text).fragment(scalar)
    assert fragment.text == 'aA \n"b\u00e9 c'
    assert [text.split("\n")[line - 1][column - 1] for line, column in fragment.places] == list('a\\ \\\\b\\ c"')


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", Fraction(1, 100000)),
        ("1.0e-5", Fraction(1, 100000)),
        ("0.1", Fraction(1, 10)),
        ("-1/3", Fraction(-1, 3)),
        ("+2", Fraction(2)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("007", Fraction(7)),
        ("0e999999999999", Fraction(0)),
        ("0." + "0" * 300 + "1", Fraction(1, 10**301)),
        ("1" + "0" * 308, Fraction(10**308)),
    ],
)
def test_numbers_are_exact(text: str, value: Fraction) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "1e", "1_000", "1 2", ".", "e5", "0x10", "1e5e5", "nan", ".inf", "true", "1:30", "--1", "1/0", "\u0663"],
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(BadNumberError) as caught:
        parse_number(text)
    assert caught.value.code == "E117"


@pytest.mark.parametrize("text", ["1e309", "1e-309", "1e9999999999", "9" * 400, "1e200/1e-200", "1." + "1" * 100_000])
def test_numbers_beyond_the_limits(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(BadNumberError) as caught:
        parse_number(text)
    assert caught.value.code == "E606"
    assert time.process_time() - begun < 0.5


@settings(max_examples=100)
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-300, max_value=1e300))
def test_a_float_is_read_as_python_reads_it(value: float) -> None:
    assert float(parse_number(repr(value))) == value


def test_line_ends_and_byte_order_marks_do_not_matter() -> None:
    text = SMALL + "equations: |\n  y[i] = 2*x[i]\n  z[i] = 3*x[i]\n"
    plain = load_text(text)
    for other in (text.replace("\n", "\r\n"), text.replace("\n", "\r"), "\ufeff" + text):
        found = load_text(other)
        assert texts(found.equations) == texts(plain.equations)
        assert [f.places for f in found.equations] == [f.places for f in plain.equations]


def test_the_stem_of_the_file_is_the_op(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(SMALL + "equations: y[i] = x[i]\n")
    with pytest.raises(SpecError, match="E118"):
        load_file(file)
    assert load_file(file.rename(tmp_path / "small.yaml")).name.text == "small"


def refused(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        read_text(path)
    return caught.value.diagnostics[0].code


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nothing.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert {refused(tmp_path / f"{name}.yaml") for name in ("loop", "dangling", "pipe", "nothing")} == {"E101"}
    assert refused(tmp_path) == "E101"
    assert refused(Path("/dev/zero")) == "E101"
    assert refused(Path("a\0b.yaml")) == "E101"


def test_a_link_to_a_spec_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("op: b\n")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "a.yaml")
    assert read_text(tmp_path / "b.yaml") == "op: b\n"


def test_what_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"a" * (1 << 20) + b"b")
    assert refused(file) == "E608"
    file.write_bytes(b"op: \xff\n")
    assert refused(file) == "E122"
    file.write_bytes("op: x".encode("utf-16"))
    assert refused(file) == "E122"


HOSTILE = {
    "a file of 10 MB": ("a" * 10**7, "E608"),
    "deep brackets": ("[" * 10**6, "E604"),
    "deep braces": ("op: " + "{a: " * 10**5, "E604"),
    "deep dashes": ("- " * 10**5, "E604"),
    "aliases of aliases": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "E105"),
    "a tag that would run code": ("op: !!python/object/apply:os.system ['true']\n", "E106"),
    "a million commas": (SMALL + "hints: {" + "a," * 400_000 + "}\n", "E110"),
    "a control character": ("op: a\x1b[31m\n", "E122"),
    "text that shows in another order": ("op: \u202eabc\n", "E122"),
    "a lone surrogate": ("op: \ud800\n", "E122"),
    "an escaped control character": ('op: "a\\0b"\n', "E122"),
    "an escaped surrogate": ('op: "\\ud800"\n', "E122"),
    "a wrong code point": ('op: "\\UFFFFFFFF"\n', "E102"),
    "a bad directive": ("%YAML x\n---\nop: a\n", "E106"),
    "a thousand unknown keys": ("".join(f"key{k}: 1\n" for k in range(1000)), "E103"),
}


@pytest.mark.parametrize(("text", "code"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_refused_soon(text: str, code: str) -> None:
    begun = time.process_time()
    assert code in code_of(text)
    assert time.process_time() - begun < 2


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab:-[]{},'\"#|>&*!%@`?~ \n\t\\0"), max_size=40))
def test_any_text_is_a_spec_or_an_error(text: str) -> None:
    code_of(text)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(FULL)), st.text(st.sampled_from(":-[]{},'\"#|>&*!%@ \n\tx"), max_size=3), st.integers(0, 3))
def test_a_spec_with_a_flaw_is_a_spec_or_an_error(position: int, inserted: str, cut: int) -> None:
    assert outcome(FULL[:position] + inserted + FULL[position + cut :]) in ("a spec", "an error")


def outcome(text: str) -> str:
    try:
        load_text(text)
    except SpecError as error:
        return "an error" if str(error).startswith("<text>:") else str(error)
    return "a spec"


def test_all_errors_of_a_file_are_reported_at_once() -> None:
    text = "op: Bad\nkinds: 1\ninputs: {x: }\nparams: {p: a}\nequations:\ntarget: gpu\n"
    assert sorted(code_of(text)) == ["E103", "E107", "E107", "E115", "E117", "E311"]
