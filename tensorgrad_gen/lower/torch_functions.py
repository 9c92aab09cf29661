"""How torch spells each pointwise function of the table `functions`: one row a name."""

from __future__ import annotations

from collections.abc import Callable

from tensorgrad_gen.functions import COMPLEX_FORMS
from tensorgrad_gen.lower.arith import over, pointwise, times
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Lit, Method, TExpr, Var
from tensorgrad_gen.lower.values import Val

Spelling = Callable[[Builder, tuple[Val, ...]], Val]

_F = "torch.nn.functional."


def _call(name: str, *fixed: tuple[str, TExpr]) -> Spelling:
    """`name(tensors...)`, every argument a tensor."""

    def spell(b: Builder, args: tuple[Val, ...]) -> Val:
        args = tuple(b.tensor(arg) for arg in args)
        return pointwise(Call(name, tuple(arg.expr for arg in args), fixed), *args, kind="real")

    return spell


def _first(name: str) -> Spelling:
    """`name(tensor, numbers...)`: only the first argument must be a tensor."""

    def spell(b: Builder, args: tuple[Val, ...]) -> Val:
        args = (b.tensor(args[0]), *args[1:])
        return pointwise(Call(name, tuple(arg.expr for arg in args)), *args, kind="real")

    return spell


def _some(name: str) -> Spelling:
    """`name(a, b)` of which one may be a Python number."""

    def spell(b: Builder, args: tuple[Val, ...]) -> Val:
        if all(arg.kind == "number" for arg in args):
            args = (b.tensor(args[0]), *args[1:])
        return pointwise(Call(name, tuple(arg.expr for arg in args)), *args, kind="real")

    return spell


def _square(b: Builder, args: tuple[Val, ...]) -> Val:
    (z,) = args
    if isinstance(z.expr, Var) or z.kind == "number":
        return times(z, z)
    return z.over(Method(z.expr, "square"))


def _sqrt(b: Builder, args: tuple[Val, ...]) -> Val:
    (z,) = args
    if z.kind == "number":
        return Val(Call("_runtime.power", (z.expr, Lit(0.5))), kind="number")
    return z.over(Call("torch.sqrt", (z.expr,)))


def _reciprocal(b: Builder, args: tuple[Val, ...]) -> Val:
    return over(Val(Lit(1), kind="number"), args[0])


def _softplus(b: Builder, args: tuple[Val, ...]) -> Val:
    """`F.softplus` with its threshold so high that the linear branch is exact; of a tensor beta, by its definition."""
    z, beta = args
    z = b.tensor(z)
    if beta.kind == "number":
        options: tuple[tuple[str, TExpr], ...] = () if beta.expr == Lit(1) else (("beta", beta.expr),)
        return z.over(Call(_F + "softplus", (z.expr,), (*options, ("threshold", Lit(50.0)))))
    scaled = times(beta, z)
    return over(scaled.over(Call(_F + "softplus", (scaled.expr,), (("threshold", Lit(50.0)),))), beta)


def _leaky_relu(b: Builder, args: tuple[Val, ...]) -> Val:
    z, slope = args
    if slope.kind == "number":
        return _first(_F + "leaky_relu")(b, args)
    return _piecewise(b, z, times(slope, z))


def _elu(b: Builder, args: tuple[Val, ...]) -> Val:
    z, alpha = args
    if alpha.kind == "number":
        return _first(_F + "elu")(b, args if alpha.expr != Lit(1) else args[:1])
    z = b.tensor(z)
    low = z.over(Call("torch.expm1", (Call("torch.clamp", (z.expr,), (("max", Lit(0)),)),)))
    return _piecewise(b, z, times(alpha, low))


def _piecewise(b: Builder, z: Val, low: Val) -> Val:
    """`z` where it is positive, `low` elsewhere; NaN stays."""
    z = b.tensor(z)
    return pointwise(Call("torch.where", (Infix(">", z.expr, Lit(0)), z.expr, low.expr)), z, low, kind="real")


def _extreme(name: str) -> Spelling:
    def spell(b: Builder, args: tuple[Val, ...]) -> Val:
        if all(arg.kind == "number" for arg in args):
            return Val(Call("max" if name == "torch.maximum" else "min", tuple(a.expr for a in args)), kind="number")
        return _call(name)(b, args)

    return spell


def _clamp(b: Builder, args: tuple[Val, ...]) -> Val:
    _, low, high = args
    if low.kind == "number" and high.kind == "number":
        return _first("torch.clamp")(b, args)
    return _call("torch.clamp")(b, args)


def _stop(b: Builder, args: tuple[Val, ...]) -> Val:
    z = b.tensor(args[0])
    return z.over(Method(z.expr, "detach"))


def _scale_gradient(b: Builder, args: tuple[Val, ...]) -> Val:
    return _surrogate(b, b.tensor(args[0]), *args)


def _straight_through(b: Builder, args: tuple[Val, ...]) -> Val:
    return _surrogate(b, b.tensor(args[0]), args[1])


def _surrogate(b: Builder, value: Val, z: Val, *scale: Val) -> Val:
    """The value with the derivative of `z`, or of a multiple of it; nothing differentiates forward."""
    if not b.traced:
        return value
    z = b.tensor(z)
    call = Call("_runtime.surrogate", tuple(val.expr for val in (value, z, *scale)))
    return pointwise(call, value, z, *scale, kind="real")


def _itself(b: Builder, args: tuple[Val, ...]) -> Val:
    return args[0]


def _method(name: str) -> Spelling:
    def spell(b: Builder, args: tuple[Val, ...]) -> Val:
        z = b.tensor(args[0])
        return z.over(Method(z.expr, name))

    return spell


def _attribute(name: str) -> Spelling:
    def spell(b: Builder, args: tuple[Val, ...]) -> Val:
        z = b.tensor(args[0])
        return z.over(Attr(z.expr, name))

    return spell


def _complex(b: Builder, args: tuple[Val, ...]) -> Val:
    """`re + i im`; torch wants both of one dtype."""
    re, im = (b.tensor(arg) for arg in args)
    return pointwise(Call("torch.complex", (re.expr, im.expr)), re, im, kind="real")


def _exponential(b: Builder, args: tuple[Val, ...]) -> Val:
    """`e^z`; of an imaginary number `torch.polar`, which makes no tensor of zeros and is no exponential of one."""
    z = b.tensor(args[0])
    match z.expr:
        case Call("torch.complex", (Method(_, "new_full", (shape, Lit(0)), options) as zero, angle)):
            one = Method(zero.receiver, "new_full", (shape, Lit(1)), options)
            return z.over(Call("torch.polar", (one, angle)))
    return z.over(Call("torch.exp", (z.expr,)))


def _imaginary(b: Builder, args: tuple[Val, ...]) -> Val:
    """The imaginary part; that of a conjugate still to be taken is a negated view, which `vmap` has no rule for."""
    z = b.tensor(args[0])
    return z.over(Attr(Method(z.expr, "resolve_conj"), "imag"))


def _family(name: str) -> Spelling:
    """`name(n, z)`: a family of functions of integer order."""

    def spell(b: Builder, args: tuple[Val, ...]) -> Val:
        n, z = args[0], b.tensor(args[1])
        return z.over(Call(name, (n.expr, z.expr)))

    return spell


def _plain(*names: str) -> dict[str, Spelling]:
    return {name: _call(f"torch.{name}") for name in names}


SPELLINGS: dict[str, Spelling] = {
    **_plain("exp", "expm1", "log", "log1p", "log2", "sign", "sin", "cos", "tan", "asin", "acos", "atan"),
    **_plain("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "lgamma", "digamma"),
    **_plain("sigmoid", "relu", "floor", "ceil", "round", "atan2", "hypot", "logaddexp", "rsqrt", "angle"),
    "abs": _method("abs"),
    "sqrt": _sqrt,
    "square": _square,
    "reciprocal": _reciprocal,
    "logsigmoid": _call(_F + "logsigmoid"),
    "silu": _call(_F + "silu"),
    "gelu": _call(_F + "gelu"),
    "gelu_tanh": _call(_F + "gelu", ("approximate", Lit("tanh"))),
    "mish": _call(_F + "mish"),
    "softplus": _softplus,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "max": _extreme("torch.maximum"),
    "min": _extreme("torch.minimum"),
    "pow": _some("torch.pow"),
    "xlogy": _some("torch.xlogy"),
    "mod": _some("torch.remainder"),
    "clamp": _clamp,
    "log_cosh": _call("_runtime.log_cosh"),
    "log1mexp": _call("_runtime.log1mexp"),
    "sech": _call("_runtime.sech"),
    "sech_squared": _call("_runtime.sech_squared"),
    "exp_tail": _call("_runtime.exp_tail"),
    "polygamma": _family("torch.polygamma"),
    "spherical_bessel": _family("_runtime.spherical_bessel"),
    "exp_moment": _family("_runtime.exp_moment"),
    "exprel": _family("_runtime.exprel"),
    **{form: _call(f"torch.{name}") for name, form in COMPLEX_FORMS.items() if name not in ("abs", "pow")},
    "complex_exp": _exponential,
    "complex_abs": _method("abs"),
    "complex_pow": _some("torch.pow"),
    "complex": _complex,
    "conj": _method("conj"),
    "real": _attribute("real"),
    "imag": _imaginary,
    "stop_gradient": _stop,
    "scale_gradient": _scale_gradient,
    "clip_gradient": _itself,
    "straight_through": _straight_through,
}

# Infinite or undefined somewhere, in value or slope: argument numbers that a masked branch replaces by 1 (the
# safe point of all of these but the second group, which has 0).
SINGULAR: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("log", "log1p", "log2", "sqrt", "rsqrt", "reciprocal", "lgamma", "digamma"), (0,)),
    **dict.fromkeys(("atan2", "hypot", "pow"), (0, 1)),
    "polygamma": (1,),
    **dict.fromkeys(("complex_log", "complex_log1p", "complex_sqrt", "complex_abs", "angle", "complex_pow"), (0,)),
    "xlogy": (1,),
    "mod": (1,),
}
SINGULAR_AT_ONE: dict[str, tuple[int, ...]] = dict.fromkeys(
    ("asin", "acos", "atanh", "erfinv", "tan", "exp", "expm1", "sinh", "cosh"), (0,)
)
SAFE_AT_TWO: dict[str, tuple[int, ...]] = {"acosh": (0,)}
