"""The text that render makes: safe, stable, complete, clean."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from render_build import package, standalone
from render_samples import SAMPLES, body, indices, lowered, meta, rms_norm, softmax_pair

from tensorgrad_gen.errors import NotBuiltError
from tensorgrad_gen.ir import Input, Parameter
from tensorgrad_gen.lower.model import LoweredOp
from tensorgrad_gen.outputs import check_generated, edited, parse_header
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.render import InitEntry, OpMeta, load_templates, render_init, render_op, render_runtime
from tensorgrad_gen.render import module as render_module
from tensorgrad_gen.render import view as views
from tensorgrad_gen.render.docs import quoted, summary
from tensorgrad_gen.render.runtime_text import definitions, runtime_sources
from tensorgrad_gen.render.templates import filled

HOSTILE = [
    '"""\nimport os\n"""',
    'ends in a quote"',
    "a backslash \\",
    "\\N{BULLET} \\x41 {x} {{ y }} {% z %}",
    "null \0 bell \a escape \x1b[31m right-to-left \u202e lone \ud800",
    "# a comment\n' + __import__('os').system('true') + '",
    "\r\nfirst\r\nsecond\u2028third",
    "tabs\tand   spaces   ",
]


def plain(doc: str = "", name: str = "op", inputs: tuple[str, ...] = ("x",), **more: Any) -> LoweredOp:
    """The sum of the inputs."""
    total = " + ".join(inputs)
    grads = {f"{name}": "grad_y" for name in inputs}
    given = {"y": " + ".join(f"tangent_{name}" for name in inputs)}
    return lowered(
        name, [Input(i, indices("b")) for i in inputs], {"y": "b"}, body("", y=f"1 * ({total})"),
        [(("y",), body("", **grads))], body("", **given), doc=doc, **more,
    )  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_generated_code_keeps_to_the_lists(name: str) -> None:
    for alone in (False, True):
        text = render_op(SAMPLES[name](), meta(name, standalone=alone))
        check_generated(text)
        assert not edited(text)
        assert "tensorgrad_gen" not in text


@pytest.mark.parametrize("doc", HOSTILE)
def test_a_docstring_is_only_a_docstring(doc: str) -> None:
    def shape(text: str) -> str:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "needle" in node.value:
                node.value = ""
        return ast.dump(tree)

    text = render_op(plain("needle. " + doc), meta("op"))
    assert shape(text) == shape(render_op(plain("needle."), meta("op")))
    assert text.isprintable() or set(text) <= {c for c in text if c.isprintable()} | {"\n"}
    check_generated(text)


@pytest.mark.parametrize("doc", HOSTILE)
def test_quoted_text_reads_back(doc: str) -> None:
    read = ast.literal_eval(quoted(doc))
    assert read.strip() == doc.strip()


@pytest.mark.parametrize("path", ["a\nimport os", "a'; rm -rf ~", "a\rb", "specs/\u202e.yaml", "spaces in.yaml"])
def test_a_path_stays_in_its_comment(path: str) -> None:
    text = render_op(plain(), OpMeta(path, "ab" * 32))
    head = text.split('"""')[0]
    assert len(head.splitlines()) == 3
    assert all(line.startswith("#") for line in head.splitlines())
    assert parse_header(text) is not None


def test_the_header_says_what_made_the_file() -> None:
    text = render_op(rms_norm(), OpMeta("specs/nn/rms_norm.yaml", "ab" * 32, options=("--standalone",)))
    header = parse_header(text)
    assert header is not None
    assert (header.spec, header.spec_sha) == ("specs/nn/rms_norm.yaml", "ab" * 6)
    assert header.command == "tensorgrad-gen build specs/nn/rms_norm.yaml --standalone"


def test_layout_and_comments_are_no_edit_and_code_is() -> None:
    text = render_op(rms_norm(), meta("rms_norm"))
    assert not edited(text.replace("        # c[b]", "        #  changed[b]"))
    assert not edited(text.replace("import torch\n", "import torch\n\n\n", 1))
    assert edited(text.replace("gw * r - x * c", "gw * r + x * c"))
    assert edited(text.replace("x[b,h] r[b]^3", "x[b,h] r[b]^4"))


def test_the_same_op_gives_the_same_bytes_in_any_process() -> None:
    code = (
        "import sys; sys.path[:0] = ['tests', '.']\n"
        "from render_samples import *; from tensorgrad_gen.render import *\n"
        "print(render_op(layer_norm(), meta('layer_norm', standalone=True)), render_runtime('x'))"
    )
    root = Path(__file__).parent.parent
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, cwd=root, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


class Recorder:
    """A view that notes which of its fields are read."""

    def __init__(self, inner: Any, read: set[tuple[str, str]]) -> None:
        self._inner, self._read = inner, read

    def __getattr__(self, name: str) -> Any:
        self._read.add((type(self._inner).__name__, name))
        return self._wrap(getattr(self._inner, name))

    def _wrap(self, value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return Recorder(value, self._read)
        if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            return tuple(Recorder(item, self._read) for item in value)
        return value


def test_every_field_of_the_view_is_read_by_a_template() -> None:
    read: set[tuple[str, str]] = set()
    for name, make in SAMPLES.items():
        view = render_module.module_view(make(), meta(name), "_runtime.")
        filled("module.py.jinja", Recorder(view, read))
    # With functions of further derivatives, with blocks of rows, with other blocks, with steps of a solver.
    specs = ("nn/logsumexp", "nn/rms_norm", "losses/linear_cross_entropy", "equations/kepler")
    texts = [(Path(__file__).parent.parent / f"specs/{spec}.yaml").read_text("utf-8") for spec in specs]
    # With a position that may be outside.
    for text in (*texts, "op: moved\ninputs: {x: [i], z: [j]}\nequations: y[j] = x[j + 1]*z[j]\n"):
        view = render_module.module_view(run(text, "<text>", until="schedule")["schedule"], meta("op"), "_runtime.")
        filled("module.py.jinja", Recorder(view, read))
    classes = [c for c in vars(views).values() if dataclasses.is_dataclass(c)]
    fields = {(c.__name__, f.name) for c in classes for f in dataclasses.fields(c)}
    assert fields - read == set()


def test_a_hole_without_a_value_fails() -> None:
    import jinja2

    with pytest.raises(jinja2.UndefinedError):
        filled("init.py.jinja", object())


def test_a_name_that_cannot_be_built_says_so() -> None:
    with pytest.raises(NotBuiltError, match="the name annotations"):
        render_op(plain(name="annotations"), meta("annotations"))


def test_a_user_may_bring_templates(tmp_path: Path) -> None:
    (tmp_path / "plain.py.jinja").write_text('{# mine #}\nclass {{ f.cls }}:\n    """Mine."""\n')
    own = load_templates(tmp_path)
    text = render_op(SAMPLES["one_hot"](), dataclasses.replace(meta("one_hot"), templates=own))
    assert 'class _OneHot:\n    """Mine."""' in text
    assert not edited(text)
    theirs, ours = parse_header(text), parse_header(render_op(SAMPLES["one_hot"](), meta("one_hot")))
    assert theirs is not None
    assert ours is not None
    assert theirs.template_sha != ours.template_sha
    (tmp_path / "strange.py.jinja").touch()
    with pytest.raises(NotBuiltError, match=r"no template is called strange\.py\.jinja"):
        load_templates(tmp_path)


CLASHES = ("ctx", "inputs", "output", "dtype", "acc", "outputs", "need_x", "more", "torch", "len", "x")


def test_no_name_of_a_spec_clashes(tmp_path: Path) -> None:
    import torch

    # Lowering calls `torch` and `len` by other names; all the rest is left to render.
    local = [f"{n}_" if n in ("ctx", "torch", "len") else n for n in CLASHES]
    op = plain(inputs=CLASHES, name="clashes")
    op = lowered(
        "clashes", list(op.plan.program.inputs), {"y": "b"}, body("", y=" + ".join(local)),
        [(("y",), body("", **{n: f"grad_y * ({' + '.join(local)})" for n in CLASHES}))],
        body("", y=" + ".join(f"tangent_{n}" for n in CLASHES)),
        params=(Parameter("_runtime_", Fraction(1), "real"), Parameter("self", Fraction(1, 3), "real")),
    )  # fmt: skip
    SAMPLES["clashes"] = lambda: op
    try:
        found = standalone(tmp_path, "clashes")
    finally:
        del SAMPLES["clashes"]
    a = [torch.rand(2, dtype=torch.float64, requires_grad=True) for _ in CLASHES]
    found.clashes(*a).sum().backward()
    torch.testing.assert_close(a[0].grad, torch.stack(a).sum(0).detach())
    primals = tuple(t.detach() for t in a)
    torch.testing.assert_close(torch.func.jvp(found.clashes, primals, primals)[1], torch.stack(primals).sum(0))
    found.clashes(**dict(zip(CLASHES, a)), self=2.0)


def test_an_op_may_have_the_name_of_a_builtin(tmp_path: Path) -> None:
    import torch

    SAMPLES["any"] = lambda: plain(name="any", inputs=("a", "b"))
    try:
        found = standalone(tmp_path, "any")
    finally:
        del SAMPLES["any"]
    x = torch.rand(2, requires_grad=True)
    torch._dynamo.reset()
    y = torch.compile(found.any, fullgraph=True, backend="eager")(x, x)
    torch.testing.assert_close(y, 2 * x)


def test_an_input_may_follow_one_that_may_be_omitted(tmp_path: Path) -> None:
    import torch

    op = lowered(
        "late", [Input("x", indices("b"), default=0), Input("y", indices("b"))], {"z": "b"}, body("", z="x + y"),
        [(("z",), body("", x="grad_z", y="grad_z"))], body("", z="tangent_x + tangent_y"),
    )  # fmt: skip
    SAMPLES["late"] = lambda: op
    try:
        found = standalone(tmp_path, "late")
    finally:
        del SAMPLES["late"]
    y = torch.rand(3)
    torch.testing.assert_close(found.late(y=y), y)
    with pytest.raises(TypeError, match="late: the input y is missing"):
        found.late(y)


def test_an_op_is_imported_when_it_is_first_used(tmp_path: Path) -> None:
    found = package(tmp_path)
    loaded = f"{found.__name__}.softmax_pair"
    assert loaded not in sys.modules
    assert callable(found.softmax_pair)
    assert loaded in sys.modules
    assert found.softmax_pair is sys.modules[loaded].softmax_pair
    # Importing the module, which has the op's name, does not hide the op.
    __import__(f"{found.__name__}.one_hot")
    assert callable(found.one_hot)
    assert set(SAMPLES) <= set(dir(found))
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = found.nothing_here


def test_two_ops_of_one_name_are_refused() -> None:
    with pytest.raises(NotBuiltError, match="two things are called a"):
        render_init([InitEntry("a", ".x.a"), InitEntry("a", ".y.a")], "c")
    with pytest.raises(NotBuiltError, match="two things are called x"):
        render_init([InitEntry("x", ".x"), InitEntry("a", ".x.a")], "c")


def test_no_runtime_name_hides_in_an_f_string() -> None:
    # Inlining renames by token, and the tokens of an f-string are not seen in every Python.
    own = {name for d in definitions() if not d.imports for name in d.names}
    for definition in definitions():
        for node in ast.walk(ast.parse(definition.text)):
            if isinstance(node, ast.JoinedStr):
                assert own.isdisjoint(n.id for n in ast.walk(node) if isinstance(n, ast.Name))


def test_runtime_and_init_keep_to_the_lists() -> None:
    check_generated(render_runtime("tensorgrad-gen build"), shared=True)
    check_generated(render_init([InitEntry("a", ".nn.a")], "tensorgrad-gen build"), shared=True)


def test_the_joint_block_fills_in_missing_cotangents() -> None:
    text = render_op(softmax_pair(), meta("softmax_pair"))
    assert "if not (grad_p is None and grad_q is None):" in text
    assert "grad_q = _runtime.cotangent(grad_q, ctx.shapes[1], acc, ctx.device)" in text


def test_a_summary_is_the_first_sentence() -> None:
    assert summary("Norm (A, 2019).  More of it.\nAnd more.") == "Norm (A, 2019)."
    assert summary("no full stop") == "no full stop"


@pytest.mark.parametrize("name", SAMPLES)
def test_the_layout_is_that_of_black(name: str) -> None:
    import black

    mode = black.Mode({black.TargetVersion.PY311}, line_length=100, magic_trailing_comma=False)
    text = render_op(SAMPLES[name](), meta(name))
    assert black.format_str(text, mode=mode) == text
    init = render_init([InitEntry(f"a{k}", f".group.a{k}") for k in range(9)], "tensorgrad-gen build")
    assert black.format_str(init, mode=mode) == init


def test_the_layout_of_the_runtime_is_that_of_black() -> None:
    import black

    mode = black.Mode({black.TargetVersion.PY311}, line_length=100, magic_trailing_comma=False)
    text = render_runtime("tensorgrad-gen build")
    assert black.format_str(text, mode=mode) == text
    assert max(map(len, text.splitlines())) <= 100


def test_no_two_names_of_the_runtime_are_one_in_a_single_file() -> None:
    """Beside the ops all parts are one module; inlined, each name has `_` before it."""
    seen: dict[str, tuple[int, str]] = {}
    for place, source in enumerate(runtime_sources()):
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                own = (place, node.name)
                assert seen.setdefault(node.name.lstrip("_"), own) == own, node.name
