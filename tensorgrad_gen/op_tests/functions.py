"""Pointwise functions, reductions and scans of the language as text of plain torch, which autograd differentiates.

Written from the language, not from the compiler's own spelling: an error there must show in the tests made here.
"""

from __future__ import annotations

from collections.abc import Sequence

# `{0}` is the first argument, `{0:p}` where it is an operand.
FUNCTIONS: dict[str, str] = {
    **{
        name: f"torch.{name}({{0}})"
        for name in (
            *("exp", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "abs", "sign", "square", "reciprocal"),
            *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
            *("erf", "erfc", "erfinv", "lgamma", "digamma", "sigmoid", "relu", "floor", "ceil", "round"),
            *("conj", "angle"),
        )
    },
    **{name: f"torch.{name}({{0}}, {{1}})" for name in ("pow", "atan2", "hypot", "xlogy", "complex")},
    "max": "torch.maximum({0}, {1})",
    "min": "torch.minimum({0}, {1})",
    "logaddexp": "_logaddexp({0}, {1})",
    "logsigmoid": "-_logaddexp(-{0:p}, torch.zeros_like({0}))",
    "silu": "{0:p} * torch.sigmoid({0})",
    "gelu": "{0:p} / 2 * (1 + torch.erf({0:p} / math.sqrt(2)))",
    "gelu_tanh": "_gelu_tanh({0})",
    "mish": "{0:p} * torch.tanh(_logaddexp({0}, torch.zeros_like({0})))",
    "softplus": "_logaddexp({1:p} * {0:p}, torch.zeros_like({0})) / {1:p}",
    "leaky_relu": "torch.where({0} > 0, {0}, {1:p} * {0:p})",
    "elu": "torch.where({0} > 0, {0}, {1:p} * torch.expm1(torch.minimum({0}, torch.zeros_like({0}))))",
    "clamp": "torch.minimum(torch.maximum({0}, {1}), {2})",
    "mod": "{0:p} - {1:p} * torch.floor({0:p} / {1:p}).detach()",
    "real": "_real({0})",
    "imag": "_imag({0})",
    "stop_gradient": "_constant({0})",
    "scale_gradient": "_constant({0}) + {1:p} * ({0:p} - _constant({0}))",
    "clip_gradient": "_clipped({0}, {1}, {2})",
    "straight_through": "_constant({0}) + ({1:p} - _constant({1}))",
}

# Of a Python number.
OF_NUMBERS = frozenset({"exp", "log", "sqrt"})

# Functions whose derivative is not that of their value: finite differences cannot check them.
SURGERY = frozenset({"stop_gradient", "scale_gradient", "clip_gradient", "straight_through"})

# Functions that are infinite or undefined somewhere: what is masked is not to be put into them.
FRAGILE = frozenset(
    {
        *("log", "log1p", "log2", "sqrt", "rsqrt", "reciprocal", "tan", "asin", "acos", "acosh", "atanh", "erfinv"),
        *("lgamma", "digamma", "pow", "atan2", "hypot", "xlogy", "angle"),
    }
)
# An argument at which the function and its derivatives are finite.
SAFE_POINT = {"acosh": "2.0"}
SAFE = "0.5"

# Of a tensor and the axes that are bound.
REDUCTIONS: dict[str, str] = {
    "max": "torch.amax({0}, {1})",
    "min": "torch.amin({0}, {1})",
    "logsumexp": "torch.logsumexp({0}, {1})",
    "norm": "torch.linalg.vector_norm({0}, dim={1})",
    "prod": "_product({0}, {1})",
    "any": "torch.any({0}, {1})",
    "all": "torch.all({0}, {1})",
    "argmax": "torch.argmax({0}, {1})",
    "argmin": "torch.argmin({0}, {1})",
}

SCANS: dict[str, str] = {
    "softmax": "torch.softmax({0}, {1})",
    "log_softmax": "torch.log_softmax({0}, {1})",
    "cumsum": "torch.cumsum({0}, {1})",
    "cumprod": "_cumulative_product({0}, {1})",
    "flip": "torch.flip({0}, ({1},))",
    "sort": "torch.sort({0}, dim={1}, stable=True).values",
    "argsort": "torch.argsort({0}, dim={1}, stable=True)",
}
# Over several indices.
SCANS_OF_SEVERAL: dict[str, str] = {
    "softmax": "torch.exp({0} - torch.logsumexp({0}, {1}, keepdim=True))",
    "log_softmax": "({0} - torch.logsumexp({0}, {1}, keepdim=True))",
}

DETERMINANTS: dict[str, str] = {
    "det": "torch.linalg.det({0})",
    "logdet": "torch.logdet({0})",
    "slogdet_sign": "torch.linalg.slogdet({0}).sign",
}

# A matrix of a matrix; `eigenvectors` are in no formula, only in derivatives.
MATRICES: dict[str, str] = {
    "inverse": "torch.linalg.inv({0})",
    "pinv": "torch.linalg.pinv({0})",
    "cholesky": "torch.linalg.cholesky({0})",
    "matrix_sqrt": "_matrix_sqrt({0})",
    "matrix_exp": "torch.linalg.matrix_exp({0})",
    "eigenvalues": "torch.linalg.eigvalsh({0})",
    "singular_values": "torch.linalg.svdvals({0})",
}

# What the forms above call beside torch.
_HELPERS: dict[str, str] = {
    "_gelu_tanh": '''
def _gelu_tanh(z: Tensor) -> Tensor:
    """The approximation of GELU by tanh."""
    return z / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
''',
    "_logaddexp": '''
def _logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """log(exp(a) + exp(b)), with a second derivative where one is -inf: that of `torch.logaddexp` is NaN there."""
    top, bottom = torch.where(a >= b, a, b), torch.where(a >= b, b, a)
    return torch.where(torch.isinf(top), top, top + torch.log1p(torch.exp(bottom - top)))
''',
    "_constant": '''
def _constant(z: Tensor) -> Tensor:
    """The value, without its derivative."""
    return z.detach()
''',
    "_real": '''
def _real(z: Tensor) -> Tensor:
    """The real part, of a real tensor itself."""
    return torch.real(z) if z.is_complex() else z
''',
    "_imag": '''
def _imag(z: Tensor) -> Tensor:
    """The imaginary part, of a real tensor zero."""
    return torch.imag(z) if z.is_complex() else torch.zeros_like(z)
''',
    "_clipped": '''
def _clipped(z: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The value itself, with its gradient clipped."""
    out = z.clone()
    if out.requires_grad:
        out.register_hook(lambda g: torch.minimum(torch.maximum(g, low), high))  # type: ignore[no-untyped-call]
    return out
''',
    "_matrix_sqrt": '''
def _matrix_sqrt(m: Tensor) -> Tensor:
    """The principal square root, by steps each of which halves the distance of the inverse from it."""
    root, inverse = m, torch.eye(m.shape[-1], dtype=m.dtype).expand_as(m)
    for _ in range(40):
        root, inverse = (root + torch.linalg.inv(inverse)) / 2, (inverse + torch.linalg.inv(root)) / 2
    return root
''',
    "_solution": '''
def _solution(residual: Any, start: Tensor) -> Tensor:
    """Where the residual is 0, by Newton's method: two last steps are differentiable, and have its derivatives."""
    slopes = torch.func.jacrev(residual)

    def step(y: Tensor) -> Tensor:
        slope = slopes(y).reshape(y.numel(), y.numel())
        return y - torch.linalg.solve(slope, residual(y).reshape(-1)).reshape(y.shape)

    y = start
    with torch.no_grad():
        for _ in range(60):
            y = step(y)
    return step(step(y))
''',
    "_product": '''
def _product(z: Tensor, dim: int) -> Tensor:
    """The product over an axis, one factor after the other: right for any number of zeros, to any order."""
    out = torch.ones_like(z.sum(dim))
    for factor in z.unbind(dim):
        out = out * factor
    return out
''',
    "_cumulative_product": '''
def _cumulative_product(z: Tensor, dim: int) -> Tensor:
    """Products of the first 1, 2, 3... elements, one factor after the other."""
    parts: list[Tensor] = []
    for factor in z.unbind(dim):
        parts.append(parts[-1] * factor if parts else factor)
    return torch.stack(parts, dim) if parts else z
''',
}


def helpers(lines: Sequence[str]) -> list[str]:
    """The definitions of what the lines call beside torch."""
    text = "\n".join(lines)
    return [body.strip() for name, body in _HELPERS.items() if f"{name}(" in text]
