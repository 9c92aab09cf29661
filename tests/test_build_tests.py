"""`build --tests`: files of tests that need nothing of the generator, pass on the op, and fail on a wrong one."""

from __future__ import annotations

import dataclasses
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from command_line import SQUARE, command, put, written
from render_build import package
from render_samples import SAMPLES, meta

from tensorgrad_gen.errors import NotBuiltError
from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import Program
from tensorgrad_gen.ir.binders import REDUCTIONS, SCANS
from tensorgrad_gen.op_tests import TestMeta, functions, render_test
from tensorgrad_gen.op_tests import module as op_tests
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.render import render_op
from tensorgrad_gen.render.allowed import NotAllowedError, check_generated
from tensorgrad_gen.render.templates import filled
from tensorgrad_gen.verify import functions as verified
from tensorgrad_gen.verify.composed import compose
from tensorgrad_gen.verify.samples import default_params

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = sorted((ROOT / "specs").glob("*/*.yaml"))
META = TestMeta("specs/group/op.yaml", "0" * 64, "generated")

# One spec for each thing that the plain formula has a spelling of its own for.
SPECS = {
    "masked": "{x: [n, h], m: {indices: [n, h], kind: bool}}\nequations: 'y[n,h] = [m[n,h]]*log(x[n,h]^2)/x[n,h]'",
    "chosen": "{x: [..., v], t: {indices: [...], kind: label, labels: v}}\nequations: 'y[...] = x[..., t[...]]^3'",
    "moved": "{x: [n]}\nequations: 'y[n] = x[pad(n - 1)]*x[n] + [n > 0]*x[n]'",
    "halves": "{x: [i, j]}\nequations: 'y[j] = prod[i](x[i,j]) + max[i](x[i,j]) - sqrt(mean[i](x[i,j]^2))'",
    "running": "{x: [..., i]}\nequations: 'y[...,i] = cumprod[i](x[...,i]) + cumsum[i](x[...,i])'",
    "both_axes": "{x: [b, i, j]}\nequations: 'y[b,i,j] = softmax[i,j](x[b,i,j])'",
    "halved": "{x: {indices: [i, i], structure: symmetric}}\nequations: 'y[i,j] = x[i,k]*x[k,j]'",
    "volume": "{x: {indices: [b, i, i], domain: spd}}\nequations: 'y[b] = logdet(x)[b] + inv(x)[b,i,i]'",
    "largest": "{x: [b, n]}\nequations: |\n  k[b] = argmax[n](x[b,n])\n  y[b] = x[b,k[b]]\noutputs: [y, k]",
    "stopped": "{x: [n]}\nequations: 'y[n] = x[n]*stop_gradient(x[n]) + clip_gradient(x[n], -1, 1)'",
    "own": "{x: {indices: [n], domain: positive}}\nfunctions: {f(z): z^1.5 - log(z)}\nequations: 'y = one[n]*f(x[n])'",
    "fixed": "{x: [n, c]}\nconstants: {k: [1, -2, 1]}\nequations: 'y[n] = x[n,c]*k[c]'",
    "torch_": "{torch: [i], l: [i]}\nequations: 'y[i] = torch[i]*l[i]/3 + i/2 - size(i)'",
    "powers": "{x: {indices: [n], domain: positive}}\nparams: {p: 2.5}\nequations: 'y[n] = -x[n]^p - (-x[n]) + 2^x[n]'",
    "only_once": "{x: [n]}\ndifferentiable: once\nequations: 'y = x[n]*x[n]'",
    "backward_only": "{x: [n]}\nderivatives: [vjp]\nequations: 'y = x[n]*x[n]'",
    "registered": "{x: [n]}\ntarget: custom_op\nequations: 'y[n] = x[n]^3'",
    "counted": "{x: {indices: [n], kind: bool}}\nequations: 'y = sum[n]([x[n]])'",
}


def spec(name: str) -> str:
    return f"op: {name}\ninputs: {SPECS[name]}\n"


def elaborated(path: Path) -> Program:
    program: Program = run(path.read_text("utf-8"), str(path), until="elaborate")["elaborate"]
    return program


def pytest_run(*words: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout[-3000:] + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of all `SPECS`, built with its tests."""
    root = tmp_path_factory.mktemp("library")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name in SPECS:
            put(f"specs/ops/{name}.yaml", spec(name))
        command("build", "specs", "--tests", "tests")
    return root


@pytest.mark.slow
def test_the_tests_pass_and_need_no_generator(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    put("conftest.py", "import sys\nsys.modules['tensorgrad_gen'] = None\n")
    said = pytest_run("tests")
    assert "passed" in said
    assert "skipped" not in said


# Name of an op -> what is put in place of what in its file, and the tests that notice.
DAMAGE = {
    "value_off": ("y = x * x", "y = x * x * 1.001", {"value", "gradcheck", "forward_mode", "vmap", "compile"}),
    "gradient_off": (
        "torch.mul(2 * grad_y, x,",
        "torch.mul(3 * grad_y, x,",
        {"first_derivatives", "gradcheck", "compile"},
    ),
    "tangent_off": ("2 * x * tangent_x", "3 * x * tangent_x", {"forward_mode"}),
}


def test_wrong_ops_fail_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in DAMAGE:
        put(f"specs/basics/{name}.yaml", SQUARE.replace("square_it", name))
    command("build", "specs", "--tests", "tests")
    for name, (right, wrong, _) in DAMAGE.items():
        op = Path(f"generated/basics/{name}.py")
        assert right in op.read_text()
        op.write_text(op.read_text().replace(right, wrong))
    said = pytest_run("tests", status=1)
    failed = set(re.findall(r"^FAILED tests/basics/test_(\w+)\.py::test_(\w+)", said, re.MULTILINE))
    assert failed >= {(name, test) for name, (_, _, tests) in DAMAGE.items() for test in tests}
    assert {test for name, test in failed if name == "tangent_off"} == {"forward_mode"}


@pytest.mark.slow
def test_tests_and_generated_code_are_clean(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both in one run: what takes time is to read the types of torch."""
    package(tmp_path)
    root = next(tmp_path.iterdir())
    for name in SAMPLES:
        (root / f"alone_{name}.py").write_text(render_op(SAMPLES[name](), meta(name, standalone=True)))
    monkeypatch.chdir(folder)
    types = ["mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    for tool in (["ruff", "check", "--isolated", "--line-length", "100"], types):
        command_line = [sys.executable, "-m", *tool, "tests", str(root)]
        done = subprocess.run(command_line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_layout_is_that_of_black(folder: Path) -> None:
    import black

    mode = black.Mode({black.TargetVersion.PY311}, line_length=100, magic_trailing_comma=False)
    for path in (folder / "tests").rglob("*.py"):
        assert black.format_str(path.read_text(), mode=mode) == path.read_text()


def imported(path: Path, text: str, tmp_path: Path) -> ModuleType:
    file = tmp_path / f"test_{path.stem}.py"
    file.write_text(text)
    found = importlib.util.spec_from_file_location(f"tests_of_{path.stem}", file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("group", range(4))
def test_the_plain_formula_is_that_of_the_interpreter(group: int, tmp_path: Path) -> None:
    """On every spec of the library, at every shape."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for path in LIBRARY[group::4]:
            program = elaborated(path)
            module = imported(path, render_test(program, META), tmp_path)
            params = default_params(program)
            for shapes in module._SHAPES:
                inputs = module._inputs(shapes)
                for got, want in zip(module._plain(*inputs), compose(program, inputs, params), strict=True):
                    torch.testing.assert_close(got, want, equal_nan=True, check_dtype=False, rtol=1e-12, atol=1e-12)
    finally:
        torch.set_default_dtype(before)


def test_the_header_is_that_of_generated_files(op_library: Path) -> None:
    command("build", "specs", "--tests", "tests")
    assert set(written("tests")) == {".build-cache.json", "basics/test_square_it.py", "nn/test_double_it.py"}
    first, second, third, *_ = written("tests")["basics/test_square_it.py"].splitlines()
    assert first.startswith("# Generated by tensorgrad-gen from specs/basics/square_it.yaml. Do not edit: ")
    assert second == "#   tensorgrad-gen build specs/basics/square_it.yaml --tests DIR"
    assert third.startswith("# spec sha256:")


def test_the_ops_are_the_same_with_tests_as_without(op_library: Path) -> None:
    command("build", "specs", "--out", "one/generated")
    command("build", "specs", "--out", "two/generated", "--tests", "tests", "--jobs", "2")
    one, two = written("one/generated"), written("two/generated")
    one.pop(".build-cache.json")
    two.pop(".build-cache.json")
    assert one == two


def test_what_is_unchanged_is_not_written_again(op_library: Path) -> None:
    command("build", "specs", "--tests", "tests")
    before = {p: p.stat().st_mtime_ns for p in Path("tests").rglob("*")}
    assert "0 built, 2 unchanged" in command("build", "specs", "--tests", "tests").stdout
    assert {p: p.stat().st_mtime_ns for p in Path("tests").rglob("*")} == before


def test_tests_are_added_to_what_was_built_without(op_library: Path) -> None:
    command("build", "specs")
    assert "2 built" in command("build", "specs", "--tests", "tests").stdout
    assert Path("tests/nn/test_double_it.py").is_file()


def test_the_op_is_imported_from_the_package_that_the_output_folder_is_in(op_library: Path) -> None:
    put("models/__init__.py", "")
    command("build", "specs", "--out", "models/ops", "--tests", "tests")
    assert "\nfrom models.ops import square_it\n" in written("tests")["basics/test_square_it.py"]
    assert "the package `models.ops`" in written("tests")["basics/test_square_it.py"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "my-ops", "--tests", "tests"], "`my-ops` is no Python name"),
        (["--tests", "generated/tests"], "generated/tests is inside the output folder"),
    ],
)
def test_folders_that_cannot_be(op_library: Path, words: list[str], message: str) -> None:
    assert message in command("build", "specs", *words, status=2).stderr
    assert not Path("generated").exists()


def test_a_file_of_somebody_elses_is_not_overwritten(op_library: Path) -> None:
    put("tests/basics/test_square_it.py", "def test_mine() -> None: ...\n")
    said = command("build", "specs", "--tests", "tests", status=2)
    assert "tests/basics/test_square_it.py: exists and was not generated by tensorgrad-gen" in said.stderr
    assert "another --tests" in said.stderr
    assert written("tests")["basics/test_square_it.py"] == "def test_mine() -> None: ...\n"
    assert Path("tests/nn/test_double_it.py").is_file()


def test_an_op_that_pytest_would_take_for_something_else_has_another_name_in_its_tests(op_library: Path) -> None:
    put("specs/basics/test_it.yaml", SQUARE.replace("square_it", "test_it"))
    command("build", "specs")
    command("build", "specs", "--tests", "tests")
    assert "import test_it as _test_it" in Path("tests/basics/test_test_it.py").read_text()


def test_check_tells_missing_edited_stale_and_orphaned_tests_apart(op_library: Path) -> None:
    command("build", "specs", "--tests", "tests")
    assert "0 findings" in command("check", "--tests", "tests").stdout
    square, double = Path("tests/basics/test_square_it.py"), Path("tests/nn/test_double_it.py")
    square.write_text(square.read_text().replace("manual_seed(0)", "manual_seed(7)"))
    double.unlink()
    said = command("check", "--tests", "tests", status=1).stdout
    assert f"{square}: edited by hand" in said
    assert f"{double}: missing" in said
    command("build", "specs", "--tests", "tests")
    put("specs/basics/square_it.yaml", SQUARE.replace("x[i]^2", "x[i]^3"))
    Path("specs/nn/double_it.yaml").rename("specs/nn/twice.yaml")
    put("specs/nn/twice.yaml", SQUARE.replace("square_it", "twice"))
    said = command("check", "--tests", "tests", status=1).stdout
    assert f"{square}: stale, the spec changed" in said
    assert f"{double}: orphaned" in said
    assert f"{double}: warning: no spec makes this file" in command("build", "specs", "--tests", "tests").stderr


def test_building_tests_imports_no_torch(op_library: Path) -> None:
    code = (
        "import sys; from tensorgrad_gen.cli import main\n"
        "try: main(['build', 'specs', '--tests', 'tests'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'sympy', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == ["generated: 2 built, 0 unchanged, 0 failed", "[]"]


class Recorder:
    """A view that notes which of its fields are read."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.read = inner, set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.inner, name)


def test_every_field_of_the_view_is_read_by_the_template() -> None:
    recorder = Recorder(op_tests._view(elaborated(ROOT / "specs/basics/layer_norm.yaml"), META))
    filled("test.py.jinja", recorder)
    assert {field.name for field in dataclasses.fields(op_tests.TestView)} - recorder.read == set()


@pytest.mark.parametrize(
    "line",
    ["import os", "from elsewhere import f", "from generated import a, b", "import pytest as torch", "open('x')"],
)
def test_what_tests_may_not_do(line: str) -> None:
    check_generated("import pytest\nfrom generated import f\nf(1)\n", package="generated")
    with pytest.raises(NotAllowedError, match="not allowed in generated code"):
        check_generated(line, package="generated")


def test_an_op_may_not_do_what_its_tests_may() -> None:
    for line in ("import pytest", "from generated import f", "f.compile()"):
        with pytest.raises(NotAllowedError):
            check_generated(f"f = 1\n{line}")


def test_every_function_that_is_verified_has_a_plain_form() -> None:
    # The oracle of stable forms has those that no spec can name, too.
    assert set(functions.FUNCTIONS) == {name for name in verified.FUNCTIONS if not FUNCTIONS[name].internal}
    assert set(functions.REDUCTIONS) == set(REDUCTIONS)
    assert set(functions.SCANS) == set(SCANS) - {"prod_others"}  # which derivatives alone have


def test_a_program_without_small_extents_is_refused() -> None:
    text = "op: late\ninputs: {x: [n]}\nsizes: {N: n, M: {index: i, extent: N - 90}}\nequations: 'y[i] = x[i + 90]'\n"
    program = run(text, "late.yaml", until="elaborate")["elaborate"]
    with pytest.raises(NotBuiltError, match="no small extents fit"):
        render_test(program, META)
