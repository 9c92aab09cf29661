"""Lowered ops written by hand: what render must be able to print, whatever the stages above it do."""

from __future__ import annotations

import ast
from fractions import Fraction

from tensorgrad_gen.ir import Access, Index, Input, Parameter, Program, Statement
from tensorgrad_gen.lower.model import Body, Layout, LoweredOp
from tensorgrad_gen.lower.printer import reads
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Item, Lit, Method, Prefix, TExpr, TorchStatement, Tup, Var
from tensorgrad_gen.plan.model import Block, Plan, Step
from tensorgrad_gen.render import OpMeta

_OPS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@", ast.FloorDiv: "//",
    ast.Eq: "==", ast.Lt: "<", ast.Gt: ">", ast.BitAnd: "&", ast.Is: "is",
}  # fmt: skip


def texpr(text: str) -> TExpr:
    """Python text as torch IR."""
    return _texpr(ast.parse(text, mode="eval").body)


def _texpr(node: ast.expr) -> TExpr:
    match node:
        case ast.Name(name):
            return Var(name)
        case ast.Constant(value):
            return Lit(value)
        case ast.UnaryOp(op, operand):
            return Prefix("-" if isinstance(op, ast.USub) else "~", _texpr(operand))
        case ast.BinOp(left, op, right):
            return Infix(_OPS[type(op)], _texpr(left), _texpr(right))
        case ast.Compare(left, [op], [right]):
            return Infix(_OPS[type(op)], _texpr(left), _texpr(right))
        case ast.Tuple(items):
            return Tup(tuple(_texpr(item) for item in items))
        case ast.Subscript(value, key):
            return Item(_texpr(value), _texpr(key))
        case ast.Slice(lower, upper):
            return Call("slice", tuple(Lit(None) if part is None else _texpr(part) for part in (lower, upper)))
        case ast.Attribute(value, name):
            return Attr(_texpr(value), name)
        case ast.Call(function, args, keywords):
            parts = tuple(_texpr(arg) for arg in args)
            named = tuple((k.arg or "", _texpr(k.value)) for k in keywords)
            dotted = ast.unparse(function)
            if isinstance(function, ast.Attribute) and not dotted.replace(".", "").isidentifier():
                return Method(_texpr(function.value), function.attr, parts, named)
            if isinstance(function, ast.Attribute) and dotted.split(".")[0] not in ("torch", "_runtime", "math"):
                return Method(_texpr(function.value), function.attr, parts, named)
            return Call(dotted, parts, named)
    raise AssertionError(ast.dump(node))


def body(text: str, sizes: str = "", imports: tuple[str, ...] = (), **results: str) -> Body:
    """A body from lines `target = value  # formula`."""
    statements, extents = _statements(text), _statements(sizes)
    values = tuple((name, texpr(value)) for name, value in results.items())
    used = {n for s in (*statements, *extents) for n in reads(s.call)} | {n for _, v in values for n in reads(v)}
    own = {s.target for s in (*statements, *extents)}
    return Body(extents, statements, values, tuple(sorted(used - own)), (), imports)


def _statements(text: str) -> tuple[TorchStatement, ...]:
    out = []
    for line in filter(None, (line.strip() for line in text.split("\n"))):
        code, _, formula = line.partition("  # ")
        target, value = code.split(" = ", 1)
        out.append(TorchStatement(target, texpr(value), formula))
    return tuple(out)


def indices(letters: str) -> tuple[Index, ...]:
    return tuple(Index(letter, letter) for letter in letters.split(",") if letter)


def lowered(
    name: str,
    inputs: list[Input],
    outputs: dict[str, str],
    forward: Body,
    backward: list[tuple[tuple[str, ...], Body]],
    tangent: Body | None,
    *,
    auxiliary: dict[str, str] | None = None,
    params: tuple[Parameter, ...] = (),
    kinds: dict[str, str] | None = None,
    doc: str = "",
    layouts: tuple[tuple[str, Layout], ...] = (),
    target: str = "function",
    sizes: tuple[tuple[str, str], ...] = (),
    numbers: frozenset[str] = frozenset(),
) -> LoweredOp:
    """A lowered op around bodies; the mathematics above it is a stand-in of the right shapes."""
    auxiliary, kinds = auxiliary or {}, kinds or {}
    zero = Access(inputs[0].name, inputs[0].indices)
    steps = tuple(
        Step(t, indices(letters), zero, kinds.get(t, "real")) for t, letters in {**outputs, **auxiliary}.items()
    )
    statements = tuple(Statement(s.target, s.indices, zero, s.kind) for s in steps if s.target in outputs)
    program = Program(
        name, doc, tuple(inputs), params, (), statements, tuple(outputs), (), size_names=sizes,
        target=target,
    )  # fmt: skip
    blocks = tuple(
        Block(roots, (), tuple((n, f"grad_{n}") for n, _ in b.results), tuple(b.reads)) for roots, b in backward
    )
    plan = Plan(
        program, steps, tuple(outputs), tuple(auxiliary), (), blocks,
        Block((), (), (), ()) if tangent else None,
    )  # fmt: skip
    return LoweredOp(plan, forward, tuple(b for _, b in backward), tangent, layouts, (), numbers)


def meta(op: str, *, standalone: bool = False) -> OpMeta:
    return OpMeta(f"specs/{op}.yaml", "0123456789abcdef", standalone=standalone)


def rms_norm() -> LoweredOp:
    size = "H = x.shape[-1]"
    r3 = "(r * r * r / H)"
    return lowered(
        "rms_norm",
        [Input("x", indices("b,h")), Input("w", indices("h"))],
        {"y": "b,h"},
        body("r = torch.rsqrt((x * x).sum(-1, keepdim=True) / H + eps)  # r[b] = (1/H sum_h x[b,h]^2 + eps)^(-1/2)",
             size, y="x * r * w", r="r"),
        [
            (("y",), body(f"""
                gw = grad_y * w  # gw[b,h] = grad_y[b,h] w[h]
                c = (gw * x).sum(-1, keepdim=True) * {r3}  # c[b] = 1/H sum_h gw[b,h] x[b,h] r[b]^3
                grad_x = gw * r - x * c  # grad_x[b,h] = gw[b,h] r[b] - x[b,h] c[b]
                grad_w = (grad_y * x * r).sum(0)  # grad_w[h] = sum_b grad_y[b,h] x[b,h] r[b]
            """, size, x="grad_x", w="grad_w")),
            (("r",), body(f"grad_x = -(grad_r * {r3}) * x  # grad_x[b,h] = -grad_r[b] r[b]^3/H x[b,h]",
                          size, x="grad_x")),
        ],
        body(f"""
            tangent_r = (x * tangent_x).sum(-1, keepdim=True) * -{r3}  # r'[b] = -r[b]^3/H sum_h x[b,h] x'[b,h]
            tangent_y = (tangent_x * r + x * tangent_r) * w + x * r * tangent_w  # y'[b,h]
        """, size, y="tangent_y", r="tangent_r"),
        auxiliary={"r": "b"},
        params=(Parameter("eps", Fraction(1, 100000), "real"),),
        doc="Root-mean-square normalisation over the feature index (Zhang and Sennrich, 2019).",
        sizes=(("H", "h"),),
    )  # fmt: skip


def layer_norm() -> LoweredOp:
    size = "H = x.shape[-1]"
    xhat = "xhat = (x - m) * r  # xhat[b,h] = (x[b,h] - m[b]) r[b]"
    return lowered(
        "layer_norm",
        [Input("x", indices("...,h")), Input("gamma", indices("h")), Input("beta", indices("h"), default=0)],
        {"y": "...,h"},
        body("""
            m = x.sum(-1, keepdim=True) / H  # m[b] = 1/H sum_h x[b,h]
            mu = x - m  # mu[b,h] = x[b,h] - m[b]
            r = torch.rsqrt((mu * mu).sum(-1, keepdim=True) / H + eps)  # r[b] = (1/H sum_h mu[b,h]^2 + eps)^(-1/2)
        """, size, y="mu * r * gamma + beta", m="m", r="r"),
        [
            (("y",), body(f"""
                {xhat}
                g = grad_y * gamma  # g[b,h] = grad_y[b,h] gamma[h]
                a = g.sum(-1, keepdim=True) / H  # a[b] = 1/H sum_h g[b,h]
                c = (g * xhat).sum(-1, keepdim=True) / H  # c[b] = 1/H sum_h g[b,h] xhat[b,h]
                grad_x = (g - a - xhat * c) * r  # grad_x[b,h] = (g[b,h] - a[b] - xhat[b,h] c[b]) r[b]
                grad_gamma = _runtime.sum_lead(grad_y * xhat)  # grad_gamma[h] = sum_... grad_y[b,h] xhat[b,h]
                grad_beta = _runtime.sum_lead(grad_y)  # grad_beta[h] = sum_... grad_y[b,h]
            """, size, x="grad_x", gamma="grad_gamma", beta="grad_beta + 0")),
            (("m",), body("grad_x = (grad_m / H).expand(x_shape)  # grad_x[b,h] = 1/H grad_m[b]",
                          "H = x.shape[-1]\nx_shape = x.shape", x="grad_x")),
            (("r",), body("grad_x = -(grad_r * r * r * r / H) * (x - m)  # grad_x[b,h] = ...", size, x="grad_x")),
        ],
        body(f"""
            {xhat}
            tangent_m = tangent_x.sum(-1, keepdim=True) / H  # m'[b] = 1/H sum_h x'[b,h]
            tangent_r = (xhat * tangent_x).sum(-1, keepdim=True) * (-(r * r) / H)  # r'[b] = ...
            z = (tangent_x - tangent_m) * r + (x - m) * tangent_r  # z[b,h] = xhat'[b,h]
            tangent_y = z * gamma + xhat * tangent_gamma + tangent_beta  # y'[b,h] = ...
        """, size, y="tangent_y", m="tangent_m", r="tangent_r"),
        auxiliary={"m": "...", "r": "..."},
        params=(Parameter("eps", Fraction(1, 100000), "real"),),
        doc="Layer normalisation over the feature index (Ba, Kiros and Hinton, 2016).",
        sizes=(("H", "h"),),
    )  # fmt: skip


def softmax_pair() -> LoweredOp:
    """Two outputs, one of them saved: the joint block, zeros for a missing cotangent."""
    return lowered(
        "softmax_pair",
        [Input("z", indices("b,v"))],
        {"p": "b,v", "q": "b,v"},
        body("p = torch.softmax(z, -1)  # p[b,v] = softmax_v(z[b,v])", p="p", q="z * scale"),
        [(("p", "q"), body("""
            dot = (grad_p * p).sum(-1, keepdim=True)  # dot[b] = sum_v grad_p[b,v] p[b,v]
            grad_z = p * (grad_p - dot) + grad_q * scale  # grad_z[b,v] = ...
        """, z="grad_z"))],
        body("dot = (tangent_z * p).sum(-1, keepdim=True)\ntangent_p = p * (tangent_z - dot)",
             p="tangent_p", q="tangent_z * scale"),
        params=(Parameter("scale", None, "real"),),
        doc="A softmax, and its input scaled.",
    )  # fmt: skip


def chosen_loss() -> LoweredOp:
    """Labels, a condition, an input with no gradient, an output that is a label, one linear in its input."""
    pick = "_runtime.gather(x, t.unsqueeze(-1)).squeeze(-1)"
    spread = "_runtime.scatter_sum((grad_loss * w * keep).unsqueeze(-1), t.unsqueeze(-1), V)"
    return lowered(
        "chosen_loss",
        [Input("x", indices("b,v")), Input("t", indices("b"), "label", grad=False, labels="v"),
         Input("keep", indices("b"), "bool", grad=False), Input("w", indices("b"), grad=False)],
        {"loss": "b", "best": "b"},
        body("", loss=f"{pick} * w * keep", best="x.argmax(-1)"),
        [(("loss",), body(f"grad_x = {spread}  # grad_x[b,v] = ...", "V = x.shape[-1]", x="grad_x"))],
        body("", loss="_runtime.gather(tangent_x, t.unsqueeze(-1)).squeeze(-1) * w * keep"),
        kinds={"best": "label"},
    )  # fmt: skip


def one_hot() -> LoweredOp:
    """No input has a gradient: no Function at all."""
    return lowered(
        "one_hot", [Input("t", indices("b"), "label", grad=False, labels="b")], {"y": "b,b1"},
        body("y = (t.unsqueeze(-1) == torch.arange(B, device=t.device)).to(torch.float32)", "B = t.shape[0]", y="y"),
        [], None,
    )  # fmt: skip


def complex_product() -> LoweredOp:
    """A complex input beside a real one, whose gradient is real; a real output of complex inputs."""
    return lowered(
        "complex_product", [Input("a", indices("b"), "complex"), Input("w", indices("b"))], {"z": "b", "p": "b"},
        body("z = a * w\np = (z * z.conj()).real", z="z", p="p"),
        [(("z", "p"), body("""
            g = grad_z + 2 * grad_p * (a * w)
            grad_a = g * w  # grad_a[b] = g[b] w[b]
            grad_w = g * a.conj()  # grad_w[b] = Re(g[b] conj(a[b]))
        """, a="grad_a", w="grad_w"))],
        body("""
            t = tangent_a * w + a * tangent_w
            s = 2 * (t * (a * w).conj()).real
        """, z="t", p="s"),
        numbers=frozenset({"a", "z"}),
    )  # fmt: skip


def turned() -> LoweredOp:
    """Outputs that lowering made as views: of a product, of an intermediate, of an input."""
    return lowered(
        "turned", [Input("x", indices("i,j")), Input("w", indices("j"))],
        {"y": "j,i", "z": "i", "s": "j", "u": "j"},
        body("d = x * w", y="(x * w).mT", z="_runtime.einsum('ij,j->i', x, w)", s="_runtime.sum_lead(w)", u="d[0]"),
        [(("y", "z", "s", "u"), body("""
            g = grad_y.mT + grad_z.unsqueeze(-1)
            grad_x = g * w + torch.cat(((grad_u * w).unsqueeze(0), torch.zeros_like(x[1:])))
            grad_w = (g * x).sum(0) + grad_s + grad_u * x[0]
        """, x="grad_x", w="grad_w"))],
        body("t = tangent_x * w + x * tangent_w",
             y="t.mT.clone()", z="t.sum(-1)", s="tangent_w.clone()", u="t[0].clone()"),
    )  # fmt: skip


SAMPLES = {f.__name__: f for f in (rms_norm, layer_norm, softmax_pair, chosen_loss, one_hot, complex_product, turned)}
