"""`verify` passes a right op and catches wrong ones.

The op is written by hand in the form of the contract; each mutant changes one piece of its text.
"""

from __future__ import annotations

import json
from fractions import Fraction
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from tensorgrad_gen import ir
from tensorgrad_gen.ir import Access, Apply, Extent, Index, Input, Mul, Param, Parameter, Pow, Program, Statement, Sum
from tensorgrad_gen.verify import CheckResult, as_json, as_junit, failed, render_table, verify_op

SOURCE = """
import torch
from torch.autograd.forward_ad import _set_fwd_grad_enabled, unpack_dual


def _add(a, b):
    return b if a is None else a if b is None else a + b


class _LayerNorm(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, gamma, beta, eps):
        H = x.shape[-1]
        mu = x.sum(-1, keepdim=True) / H
        xc = x - mu
        rstd = torch.rsqrt((xc * xc).sum(-1, keepdim=True) / H + eps)
        y = xc * rstd * gamma
        if beta is not None:
            y = y + beta
        return y.to(torch.promote_types(x.dtype, gamma.dtype)), mu, rstd

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, gamma, beta, eps = inputs
        y, mu, rstd = output
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, gamma, mu, rstd)

    @staticmethod
    def backward(ctx, gy, gmu, grstd):
        need_x, need_gamma, need_beta, _ = ctx.needs_input_grad
        x, gamma, mu, rstd = ctx.saved_tensors
        H = x.shape[-1]
        gx = ggamma = gbeta = None
        xc = x - mu
        if need_x:
            if gy is not None:
                h = gy * gamma
                gx = h * rstd
                gmu = _add(gmu, -gx.sum(-1, keepdim=True))
                grstd = _add(grstd, (h * xc).sum(-1, keepdim=True))
            if grstd is not None:
                gx = _add(gx, (grstd * rstd * rstd * rstd / -H) * xc)
            if gmu is not None:
                gx = _add(gx, gmu / H)
            if gx is not None:
                gx = gx.expand(x.shape)
        if gy is not None and need_gamma:
            ggamma = (gy * (xc * rstd)).sum(0)
        if gy is not None and need_beta:
            gbeta = gy.sum(0)
        return gx, ggamma, gbeta, None


class _LayerNormDual(_LayerNorm):
    @staticmethod
    def setup_context(ctx, inputs, output):
        _LayerNorm.setup_context(ctx, inputs, output)
        ctx.save_for_forward(inputs[0], inputs[1], output[1], output[2])

    @staticmethod
    def jvp(ctx, tx, tgamma, tbeta, _eps):
        with _set_fwd_grad_enabled(True):
            x, gamma, mu, rstd = (unpack_dual(t, level=0).primal for t in ctx.saved_tensors)
            H = x.shape[-1]
            xc = x - mu
            tmu, trstd, ty = torch.zeros_like(mu), torch.zeros_like(rstd), torch.zeros_like(xc)
            if tx is not None:
                tmu = tx.sum(-1, keepdim=True) / H
                trstd = -rstd * rstd * rstd * (xc * tx).sum(-1, keepdim=True) / H
                ty = ((tx - tmu) * rstd + xc * trstd) * gamma
            if tgamma is not None:
                ty = ty + xc * rstd * tgamma
            if tbeta is not None:
                ty = ty + tbeta
            return ty, tmu, trstd


def layer_norm(x, gamma, beta=None, *, eps=1e-5):
    fn = _LayerNorm if torch.compiler.is_compiling() else _LayerNormDual
    dtype = torch.promote_types(x.dtype, gamma.dtype)
    if dtype.itemsize == 2:
        x, gamma, beta = (None if t is None else t.float() for t in (x, gamma, beta))
    return fn.apply(x, gamma, beta, eps)[0].to(dtype)
"""

B, H, H1, H2 = Index("b", "b"), Index("h", "h"), Index("h1", "h"), Index("h2", "h")


def layer_norm_program() -> Program:
    """The program of the language page's example, as `elaborate` writes it."""
    x, mu = Access("x", (B, H)), Access("mu", (B, H))
    mean = Mul((Pow(Extent("h"), ir.const(-1)), Sum((H1,), Access("x", (B, H1)))))
    centred = ir.sub(x, Access("m", (B,)))
    variance = Mul((Pow(Extent("h"), ir.const(-1)), Sum((H2,), Pow(Access("mu", (B, H2)), ir.const(2)))))
    sigma = Apply("sqrt", (ir.add(Access("v", (B,)), Param("eps", "real")),))
    scaled = Mul((mu, Pow(Access("sigma", (B,)), ir.const(-1)), Access("gamma", (H,))))
    return Program(
        name="layer_norm",
        doc="",
        inputs=(Input("x", (B, H)), Input("gamma", (H,)), Input("beta", (H,), default=0)),
        params=(Parameter("eps", Fraction(1, 100000), "real"),),
        constants=(),
        statements=(
            Statement("m", (B,), mean),
            Statement("mu", (B, H), centred),
            Statement("v", (B,), variance),
            Statement("sigma", (B,), sigma),
            Statement("y", (B, H), ir.add(scaled, Access("beta", (H,)))),
        ),
        outputs=("y",),
        axes=(("b", (("x", -2),)), ("h", (("x", -1), ("gamma", -1)))),
    )


def module_of(*changes: tuple[str, str]) -> ModuleType:
    """The hand-written module with pieces of its text changed."""
    text = SOURCE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    module = ModuleType("layer_norm_by_hand")
    exec(text, module.__dict__)  # noqa: S102  our own text, above
    return module


def run(*changes: tuple[str, str], quick: bool = True) -> list[CheckResult]:
    return verify_op(layer_norm_program(), module_of(*changes), quick=quick)


def failures(results: list[CheckResult]) -> set[str]:
    return {result.name for result in results if result.status == "failed"}


def test_a_right_op_passes_every_quick_check() -> None:
    results = run()
    assert not failures(results), [r for r in results if r.status == "failed"]
    assert {r.section for r in results} >= {1, 2, 3, 5}


MUTANTS = {
    "sign of a gradient": ("gbeta = gy.sum(0)", "gbeta = -gy.sum(0)"),
    "dropped term": ("gmu = _add(gmu, -gx.sum(-1, keepdim=True))", "pass"),
    "small relative error": ("gbeta = gy.sum(0)", "gbeta = gy.sum(0) * (1 + 1e-7)"),
    "wrong axis": ("gbeta = gy.sum(0)", "gbeta = gy.sum(-1)[:1].expand(gy.shape[-1])"),
    "wrong saved tensor": ("ctx.save_for_backward(x, gamma, mu, rstd)", "ctx.save_for_backward(x, gamma, mu, y)"),
    "intermediate marked not differentiable": (
        "ctx.save_for_backward(x, gamma, mu, rstd)",
        "ctx.save_for_backward(x, gamma, mu, rstd); ctx.mark_non_differentiable(mu, rstd)",
    ),
    "intermediate saved by an attribute": (
        "x, gamma, mu, rstd = ctx.saved_tensors\n        H = x.shape[-1]\n        gx",
        "x, gamma = ctx.saved_tensors[:2]; mu, rstd = ctx.kept\n        H = x.shape[-1]\n        gx",
    ),
    "cotangent of an auxiliary output ignored": (
        "def backward(ctx, gy, gmu, grstd):",
        "def backward(ctx, gy, _m, _r):\n        gmu = grstd = None",
    ),
    "undefined cotangent not handled": ("if gy is not None and need_beta:", "if need_beta:"),
    "tangent of a param forgotten": ("ty = ty + tbeta", "pass"),
    "param ignored": ("/ H + eps)", "/ H + 1e-5)"),
    "output aliases an input": ("y = xc * rstd * gamma", "y = x.mul_(1)"),
    "not pruned": ("if need_x:", "if True:"),
    "input changed": ("mu = x.sum(-1, keepdim=True) / H", "mu = x.sum(-1, keepdim=True) / H; x.detach().add_(1)"),
}


def mutated(name: str) -> list[CheckResult]:
    changes = [MUTANTS[name]]
    if name == "intermediate saved by an attribute":
        saved = "ctx.save_for_backward(x, gamma, mu, rstd)"
        changes.append((saved, saved + "; ctx.kept = mu.detach(), rstd.detach()"))
    return run(*changes)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name: str) -> None:
    assert failures(mutated(name))


def test_only_checks_of_higher_order_see_a_saved_intermediate() -> None:
    results = mutated("intermediate saved by an attribute")
    assert {"higher orders", "gradgradcheck of apply"} <= failures(results)
    assert not failures([r for r in results if r.section in (1, 2)])


def test_only_checks_of_half_precision_see_what_is_computed_in_it() -> None:
    assert failures(run(("dtype.itemsize == 2", "False"))) == {"bfloat16", "float16"}


def test_results_render_as_table_json_and_junit() -> None:
    results = [
        CheckResult("a", "vjp", 1, "passed", "", 1e-16, 0.1),
        CheckResult("a", "gradcheck", 2, "failed", "off by <1 & \x00", float("inf"), 0.2),
        CheckResult("b", "value", 1, "skipped", "no oracle"),
    ]
    assert failed(results)
    assert render_table(results).row_count == 3
    document = json.loads(as_json(results))
    assert document["summary"] == {"passed": 1, "failed": 1, "skipped": 1}
    suites = ET.fromstring(as_junit(results)).findall("testsuite")  # noqa: S314  our own output
    assert [s.get("failures") for s in suites] == ["1", "0"]
