"""Whatever a thing of a spec is called, generated code hides nothing that it uses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tensorgrad_gen import load_op
from tensorgrad_gen.render.apart import apart

ROOT = Path(__file__).parents[1]
# Python's own, torch's, the runtime's, those of generated bodies; none is a word of the language.
NAMES = [
    *("accumulator", "acc", "at", "autograd", "backward", "bool", "call", "cast", "check_params"),
    *("compile", "complex_dtype", "compiling", "count", "ctx", "device", "dict", "dtype", "dtypes", "einsum"),
    *("enumerate", "float", "forward", "forward_mode", "functools", "getattr", "globals", "grad", "grad_y"),
    *("id", "importlib", "inputs", "int", "isinstance", "jvp", "lead", "len", "list", "map", "matmul"),
    *("mismatch", "more_x", "need_x", "no_autocast", "numbers", "numel", "object", "op", "operator", "output"),
    *("outputs", "part", "primal", "print", "promote", "property", "range", "repr", "reversed", "rows"),
    *("saved", "self", "set", "setup_context", "shape", "signature_cached", "slice", "sorted"),
    *("staticmethod", "str", "super", "svd", "sys", "tangent", "tangent_x", "tensor", "term", "torch"),
    *("total", "tuple", "type", "typing", "vars", "x", "y", "z", "zip"),
]  # fmt: skip
ROLES = {
    "op, input and index": "op: {0}\ninputs: {{{0}: [{0}], w_: [{0}]}}\nequations: |\n  v_[{0}] = {0}[{0}]*{1}\n",
    "param": "op: op_\ninputs: {{q_: [g_], w_: [g_]}}\nparams: {{{0}: 1.0}}\nequations: |\n  v_[g_] = {0}*q_[g_]*{1}\n",
    "output": "op: op_\ninputs: {{q_: [g_], w_: [g_]}}\nequations: |\n  {0}[g_] = q_[g_]*{1}\n",
    "tensor between": "op: op_\ninputs: {{q_: [g_], w_: [g_]}}\nequations: |\n  {0} = {1}\n  v_[g_] = q_[g_]*{0}\n",
    "size": "op: op_\ninputs: {{q_: [g_], w_: [g_]}}\nsizes: {{{0}: g_}}\n"
    "equations: |\n  v_[g_] = q_[g_]/{0}*{1}*{0}\n",
    "function": "op: op_\ninputs: {{q_: [g_], w_: [g_]}}\nfunctions: {{'{0}(u)': u}}\n"
    "equations: |\n  v_[g_] = {0}(q_[g_])*{1}\n",
}
FIRST, *OTHERS = ROLES
# Each name as that of an op, an input and an index, and in one of the other roles.
TRIED = [(name, role) for k, name in enumerate(NAMES) for role in (FIRST, OTHERS[k % len(OTHERS)])]
SUM = "(one[k_]*exp(w_[k_]))"


def formula(x: Tensor, w: Tensor) -> Tensor:
    return x * w.exp().sum()


@pytest.mark.parametrize(("name", "role"), TRIED)
def test_a_thing_may_have_any_name(name: str, role: str) -> None:
    op: Callable[..., Tensor] = load_op(ROLES[role].format(name, SUM))
    x, w = (torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in ([1.0, -2.0], [0.5, 0.25]))
    got, want = op(x, w), formula(x, w)
    torch.testing.assert_close(got, want)
    first = [torch.autograd.grad(y.pow(2).sum(), (x, w), create_graph=True) for y in (got, want)]
    torch.testing.assert_close(*first)
    torch.testing.assert_close(*(torch.autograd.grad(g[0].sum(), w)[0] for g in first))
    given = ((x.detach(), w.detach()), (torch.ones_like(x), torch.ones_like(w)))
    torch.testing.assert_close(torch.func.jvp(op, *given), torch.func.jvp(formula, *given))


def test_a_package_of_such_ops_is_clean_and_works(tmp_path: Path) -> None:
    names = ("bool", "getattr", "globals", "importlib", "isinstance", "pytest", "slice", "super", "test_it", "torch")
    specs = tmp_path / "specs"
    specs.mkdir()
    for name in names:
        text = f"op: {name}\ndoc: d.\ninputs: {{x: [b, h], w: [h]}}\nequations: |\n  y[b,h] = softmax[h](x[b,h])*w[h]\n"
        (specs / f"{name}.yaml").write_text(text)
    build = ["tensorgrad_gen", "build", str(specs), "--out", str(tmp_path / "made" / "ops"), "--jobs", "1"]
    run("-m", *build, "--tests", str(tmp_path / "made" / "tests"), cwd=ROOT)
    run("-m", "ruff", "check", "--isolated", "--line-length", "100", "--select", "F,I", "ops", cwd=tmp_path / "made")
    # With what is known of the types of torch: to read them takes half a minute.
    types = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    run("-m", "mypy", *types, "ops", cwd=tmp_path / "made")
    reads = "; ".join(f"assert callable(ops.{name})" for name in names * 2)
    run("-c", f"import ops; {reads}; import ops.specs.slice; from ops.specs import slice", cwd=tmp_path / "made")
    run("-m", "pytest", "-q", "-x", "tests", cwd=tmp_path / "made")


def run(*arguments: str, cwd: Path) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_argument_keeps_its_name() -> None:
    text = (
        'from __future__ import annotations\n\nimport torch\n\n\ndef f(len: int) -> int:\n    return len + int("1")\n'
    )
    assert "return len + _int" in apart(text, ("len", "int"))
    assert apart(text, ("softmax",)) == text
