"""The rows of the table of conventions: what PyTorch, JAX and a generated op give where mathematics leaves it open.

Each expression is of arrays `x` (and `z`, `m`, `t`); what is looked at is its value, or a gradient of its sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

INF, NAN = float("inf"), float("nan")
TWO, MASK = "x: [i], z: [i]", "x: [i], m: {indices: [i], kind: bool}"
LABEL = "x: [b, v], t: {indices: [b], kind: label, labels: v}"


@dataclass(frozen=True)
class Case:
    """One question. `shows`: value, gradient, second (derivative), dtype; an error is shown by its first words."""

    name: str
    equations: str
    torch: str
    jax: str
    at: dict[str, Any]
    shows: str = "gradient"
    inputs: str = "x: [i]"
    dtypes: dict[str, str] = field(default_factory=dict)
    by: str = "x"

    @property
    def spec(self) -> str:
        """The text of the spec."""
        lines = "".join(f"  {line.strip()}\n" for line in self.equations.split(";"))
        return f"op: case\ndoc: A case.\ninputs: {{{self.inputs}}}\nequations: |\n{lines}outputs: [y]\n"


def at(*numbers: float) -> dict[str, Any]:
    """Inputs where there is one."""
    return {"x": list(numbers)}


LOG_SOFTMAX = "y[b] = where(t[b] != -100, x[b,t[b]] - logsumexp[v](x[b,v]), 0)"
MASKED = {"x": [[1.0, 2.0], [0.0, 0.0]], "t": [-100, 1]}
OUT = {"x": [[1.0, 2.0]], "t": [2]}
CASES = (
    Case("relu'(0)", "y[i] = relu(x[i])", "torch.relu(x)", "jax.nn.relu(x)", at(0.0)),
    Case("max(x, 0)'(0)", "y[i] = max(x[i], 0)", "torch.maximum(x, 0*x)", "jnp.maximum(x, 0)", at(0.0)),
    Case("abs(x)'(0)", "y[i] = abs(x[i])", "torch.abs(x)", "jnp.abs(x)", at(0.0)),
    Case("(x/abs(x))(0)", "y[i] = x[i]/abs(x[i])", "x/torch.abs(x)", "x/jnp.abs(x)", at(0.0), "value"),
    Case("floor'(1)", "y[i] = floor(x[i])", "torch.floor(x)", "jnp.floor(x)", at(1.0)),
    Case("round(0.5), round(1.5)", "y[i] = round(x[i])", "torch.round(x)", "jnp.round(x)", at(0.5, 1.5), "value"),
    Case(
        "clamp(x, -1, 1)' at -1, 1, 2",
        "y[i] = clamp(x[i], -1, 1)",
        "torch.clamp(x, -1, 1)",
        "jnp.clip(x, -1, 1)",
        at(-1.0, 1.0, 2.0),
    ),
    Case("max of (1, 1, 0)", "y = max[i](x[i])", "torch.amax(x)", "jnp.max(x)", at(1.0, 1.0, 0.0)),
    Case(
        "max(x, z) at x = z, by x",
        "y[i] = max(x[i], z[i])",
        "torch.maximum(x, z)",
        "jnp.maximum(x, z)",
        {"x": [1.0], "z": [1.0]},
        inputs=TWO,
    ),
    Case("sqrt'(0)", "y[i] = sqrt(x[i])", "torch.sqrt(x)", "jnp.sqrt(x)", at(0.0)),
    Case("norm at (0, 0)", "y = norm[i](x[i])", "torch.linalg.vector_norm(x)", "jnp.linalg.norm(x)", at(0.0, 0.0)),
    Case(
        "sqrt of a sum of squares at (0, 0)",
        "y = sqrt(x[i]*x[i])",
        "torch.sqrt(torch.sum(x*x))",
        "jnp.sqrt(jnp.sum(x*x))",
        at(0.0, 0.0),
    ),
    Case(
        "norm of order 1/2 at (0, 2)",
        "y = norm[i](x[i], 1/2)",
        "torch.linalg.vector_norm(x, 0.5)",
        "jnp.linalg.norm(x, 0.5)",
        at(0.0, 2.0),
    ),
    Case(
        "hypot(0, 0), by x",
        "y[i] = hypot(x[i], z[i])",
        "torch.hypot(x, z)",
        "jnp.hypot(x, z)",
        {"x": [0.0], "z": [0.0]},
        inputs=TWO,
    ),
    Case(
        "atan2(0, 0), by x",
        "y[i] = atan2(x[i], z[i])",
        "torch.atan2(x, z)",
        "jnp.arctan2(x, z)",
        {"x": [0.0], "z": [0.0]},
        inputs=TWO,
    ),
    Case("log(0)", "y[i] = log(x[i])", "torch.log(x)", "jnp.log(x)", at(0.0), "value"),
    Case("log'(0)", "y[i] = log(x[i])", "torch.log(x)", "jnp.log(x)", at(0.0)),
    *(
        Case(
            f"xlogy(0, 0){how}",
            "y[i] = xlogy(x[i], z[i])",
            "torch.xlogy(x, z)",
            "jax.scipy.special.xlogy(x, z)",
            {"x": [0.0], "z": [0.0]},
            shows,
            inputs=TWO,
            by=by,
        )
        for how, shows, by in (("", "value", "x"), (", by x", "gradient", "x"), (", by z", "gradient", "z"))
    ),
    Case("(x*log(x))(0)", "y[i] = x[i]*log(x[i])", "x*torch.log(x)", "x*jnp.log(x)", at(0.0), "value"),
    Case("(x*log(x))'(0)", "y[i] = x[i]*log(x[i])", "x*torch.log(x)", "x*jnp.log(x)", at(0.0)),
    Case("(x^0)'(0)", "y[i] = x[i]^0", "x**0", "x**0", at(0.0)),
    Case("(x^2)''(0)", "y[i] = x[i]^2", "x**2", "x**2", at(0.0), "second"),
    Case(
        "x^z at x = 0, z = 0 and 2, by z",
        "y[i] = x[i]^z[i]",
        "x**z",
        "x**z",
        {"x": [0.0, 0.0], "z": [0.0, 2.0]},
        inputs=TWO,
        by="z",
    ),
    Case("(-8)^(1/3)", "y[i] = x[i]^(1/3)", "x**(1/3)", "x**(1/3)", at(-8.0), "value"),
    Case("prod of (2, 0, 3)", "y = prod[i](x[i])", "torch.prod(x)", "jnp.prod(x)", at(2.0, 0.0, 3.0)),
    Case(
        "prod of (2, 0, 3), second derivative",
        "y = prod[i](x[i])",
        "torch.prod(x)",
        "jnp.prod(x)",
        at(2.0, 0.0, 3.0),
        "second",
    ),
    Case("prod of (0, 0, 3)", "y = prod[i](x[i])", "torch.prod(x)", "jnp.prod(x)", at(0.0, 0.0, 3.0)),
    Case(
        "cumprod of (2, 0, 3)",
        "y[i] = cumprod[i](x[i])",
        "torch.cumprod(x, 0)",
        "jnp.cumprod(x)",
        at(2.0, 0.0, 3.0),
    ),
    Case("sum of nothing", "y = sum[i](x[i])", "torch.sum(x)", "jnp.sum(x)", at(), "value"),
    Case("prod of nothing", "y = prod[i](x[i])", "torch.prod(x)", "jnp.prod(x)", at(), "value"),
    Case(
        "logsumexp of nothing", "y = logsumexp[i](x[i])", "torch.logsumexp(x, 0)", "jax.nn.logsumexp(x)", at(), "value"
    ),
    Case("max of nothing", "y = max[i](x[i])", "torch.amax(x)", "jnp.max(x)", at(), "value"),
    Case("relu(nan)", "y[i] = relu(x[i])", "torch.relu(x)", "jax.nn.relu(x)", at(NAN), "value"),
    Case("relu'(nan)", "y[i] = relu(x[i])", "torch.relu(x)", "jax.nn.relu(x)", at(NAN)),
    Case("max of (nan, 1)", "y = max[i](x[i])", "torch.amax(x)", "jnp.max(x)", at(NAN, 1.0), "value"),
    Case(
        "softmax of (-inf, -inf)",
        "y[i] = softmax[i](x[i])",
        "torch.softmax(x, 0)",
        "jax.nn.softmax(x)",
        at(-INF, -INF),
        "value",
    ),
    Case(
        "logsumexp, all masked",
        "y = logsumexp[i](where(m[i], x[i], -inf))",
        "torch.logsumexp(torch.where(m, x, -inf), 0)",
        "jax.nn.logsumexp(jnp.where(m, x, -inf))",
        {"x": [1.0, 2.0], "m": [False, False]},
        inputs=MASK,
    ),
    Case(
        "where(x > 0, log(x), 0) at 0",
        "y[i] = where(x[i] > 0, log(x[i]), 0)",
        "torch.where(x > 0, torch.log(x), 0)",
        "jnp.where(x > 0, jnp.log(x), 0)",
        at(0.0),
    ),
    Case(
        "label out of range",
        "y[b] = x[b,t[b]]",
        "x.gather(1, t[:, None])",
        "jnp.take_along_axis(x, t[:, None], 1)",
        OUT,
        "value",
        inputs=LABEL,
    ),
    Case(
        "cross-entropy, labels -100 and 1",
        LOG_SOFTMAX,
        "-F.cross_entropy(x, t, reduction='none')",
        "jnp.where(t != -100, jnp.take_along_axis(jax.nn.log_softmax(x), t[:, None], 1)[:, 0], 0)",
        MASKED,
        inputs=LABEL,
    ),
    Case("var of (1, 2, 6)", "y = var[i](x[i])", "torch.var(x)", "jnp.var(x)", at(1.0, 2.0, 6.0), "value"),
    Case("std of (1, 1)", "y = std[i](x[i])", "torch.std(x)", "jnp.std(x)", at(1.0, 1.0)),
    Case("gelu(1)", "y[i] = gelu(x[i])", "F.gelu(x)", "jax.nn.gelu(x)", at(1.0), "value"),
    Case(
        "gradient of abs(x)^2 at 1 + 2i",
        "y[i] = abs(x[i])^2",
        "torch.abs(x)**2",
        "jnp.abs(x)**2",
        {"x": [1 + 2j]},
        inputs="x: {indices: [i], kind: complex}",
        dtypes={"x": "complex64"},
    ),
    Case(
        "gradient of abs(x) at 0 + 0i",
        "y[i] = abs(x[i])",
        "torch.abs(x)",
        "jnp.abs(x)",
        {"x": [0j]},
        inputs="x: {indices: [i], kind: complex}",
        dtypes={"x": "complex64"},
    ),
    Case(
        "x^2 of integers",
        "y[i] = x[i]^2",
        "x**2",
        "x**2",
        {"x": [3]},
        "value",
        dtypes={"x": "int32"},
    ),
    Case(
        "gradient by integers",
        "y[i] = x[i]^2*z[i]",
        "x**2*z",
        "x**2*z",
        {"x": [3], "z": [1.0]},
        inputs=TWO,
        dtypes={"x": "int32"},
    ),
    *(
        Case(
            f"sum of 4096 ones, {dtype}",
            "y = sum[i](x[i])",
            "torch.sum(x)",
            "jnp.sum(x)",
            {"x": [1.0] * 4096},
            "value",
            dtypes={"x": dtype},
        )
        for dtype in ("float16", "bfloat16")
    ),
    Case(
        "running sum of 4096 ones, the last, bfloat16",
        "c[i] = cumsum[i](x[i]); y = c[4095]",
        "torch.cumsum(x, 0)[-1]",
        "jnp.cumsum(x)[-1]",
        {"x": [1.0] * 4096},
        "value",
        dtypes={"x": "bfloat16"},
    ),
    Case(
        "variance of 250, 251, 254, bfloat16",
        "m = mean[i](x[i]); y = mean[i]((x[i] - m)^2)",
        "torch.mean((x - torch.mean(x))**2)",
        "jnp.mean((x - jnp.mean(x))**2)",
        at(250.0, 251.0, 254.0),
        "value",
        dtypes={"x": "bfloat16"},
    ),
    *(
        Case(
            f"{one} times {two}",
            "y[i] = x[i]*z[i]",
            "x*z",
            "x*z",
            {"x": [1.0], "z": [1.0]},
            "dtype",
            inputs=TWO,
            dtypes={"x": one, "z": two},
        )
        for one, two in (("float16", "bfloat16"), ("bfloat16", "float32"), ("int32", "float16"))
    ),
    Case(
        "matrix product under autocast to bfloat16",
        "y[i,k] = x[i,j]*z[j,k]",
        "x @ z",
        "",
        {"x": [[1.0]], "z": [[1.0]]},
        "autocast",
        inputs="x: [i, j], z: [j, k]",
    ),
)
