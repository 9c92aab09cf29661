"""The rows of the table of stable forms: a formula in the spec language, and the same as written for arrays.

Law: `plain` is evaluated as it stands in torch, in jax.numpy and in mpmath, so that all columns have the same spelling.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

# Each is a number of bfloat16 too, the nearest to 1e-6, 1e-4, 1, 20, 88, 200 and 1e4: both precisions read the same.
SIZES = (2.0**-20, 105 * 2.0**-20, 1.0, 20.0, 88.0, 200.0, 9984.0)
POSITIVE = SIZES
NOT_NEGATIVE = (0.0, *SIZES)
NEGATIVE = tuple(-size for size in SIZES)
NONZERO = (*SIZES, *NEGATIVE)
REAL = (0.0, *NONZERO)
SMALL = tuple(x for x in REAL if abs(x) <= 1)
BELOW_ONE = tuple(x for sign in (1, -1) for x in (sign * SIZES[0], sign * SIZES[1], sign * 0.5, sign * (1 - 2.0**-8)))
SHARP = (-1.0, 1.0, 20.0, 88.0, 200.0, 9984.0)
# Cotangents of a vector and directions of second derivatives: exact, no two alike.
COTANGENT, DIRECTION = (1.0, -2.0, 0.5, 0.25), (1.0, 0.5, -2.0, 0.25)
SHAPE, OTHER = (1.0, -0.5, 0.25), (0.5, 0.25, -1.0)
# A value, and a list for each input: the gradient and its derivative along the direction.
Numbers = list[list[list[float]]]
SOFT = "p = exp(x)/sum(exp(x)); "
SIGMOID = "s = 1/(1 + exp(-x)); "


@dataclass(frozen=True)
class Row:
    """A formula: equations of a spec, `plain` for arrays, the libraries' own ops, the points.

    `at` has a number or a list of numbers for each input of each point; `fixed` inputs are not differentiated.
    An error is relative to `unit`, where the exact number is smaller: for sums of probabilities, that is 1.
    """

    name: str
    equations: str
    plain: str
    torch: str = ""
    jax: str = ""
    at: tuple[tuple[float | tuple[float, ...], ...], ...] = tuple((x,) for x in REAL)
    inputs: str = "x: [i]"
    fixed: dict[str, float | int | tuple[float, ...]] = field(default_factory=dict)
    unit: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs that are differentiated."""
        return ("x", "z")[: len(self.at[0])]

    @property
    def pointwise(self) -> bool:
        """Whether all points may stand in one tensor."""
        return not isinstance(self.at[0][0], tuple)

    @property
    def result(self) -> str:
        """The tensor that the last equation defines."""
        return self.equations.rsplit(";", 1)[-1].strip()[0]

    @property
    def spec(self) -> str:
        """The text of the spec."""
        lines = "".join(f"  {line.strip()}\n" for line in self.equations.split(";"))
        return f"op: row\ndoc: A row.\ninputs: {{{self.inputs}}}\nequations: |\n{lines}outputs: [{self.result}]\n"


def formula(text: str, names: dict[str, Any]) -> Callable[..., Any]:
    """`a = ...; b = ...; result` as a function of named arrays, in the functions that `names` has."""
    *lines, result = (line.strip() for line in text.split(";"))
    code = [(line.split(" = ")[0], compile(line.split(" = ", 1)[1], text, "eval")) for line in lines]
    last = compile(ast.parse(result, mode="eval"), text, "eval")

    def function(**arrays: Any) -> Any:
        known = dict(arrays)
        for name, value in code:
            known[name] = eval(value, names, known)  # noqa: S307 - the text is that of our own rows
        return eval(last, names, known)  # noqa: S307

    return function


def along(n: int, k: int) -> float:
    """The direction of second derivatives in component k of input n."""
    return DIRECTION[(k + n) % len(DIRECTION)]


def each(numbers: tuple[float, ...]) -> tuple[tuple[float], ...]:
    """Points of one number."""
    return tuple((x,) for x in numbers)


def rows_of(numbers: tuple[float, ...]) -> tuple[tuple[tuple[float, ...]], ...]:
    """Points of one vector, a multiple of (1, -1/2, 1/4)."""
    return tuple((tuple(x * c for c in SHAPE),) for x in numbers)


def pairs_of(numbers: tuple[float, ...]) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Points of two vectors."""
    return tuple((tuple(x * c for c in SHAPE), tuple(x * c for c in OTHER)) for x in numbers)


SHIFTED = tuple(((9984.0 + a, 9984.0 - a, 9984.0),) for a in (64.0, 128.0))
TWO, SET = "x: [i], z: [i]", "t: {indices: [i], grad: false}"
BY_LABEL = {"inputs": "x: [i], t: {indices: [], kind: label, labels: i}", "fixed": {"t": 0}}

SCALAR = (
    Row("sigmoid", "y[i] = 1/(1 + exp(-x[i]))", "1/(1 + exp(-x))", "torch.sigmoid(x)", "jax.nn.sigmoid(x)"),
    Row("sigmoid, by its name", "y[i] = sigmoid(x[i])", "sigmoid(x)"),
    Row(
        "sigmoid, by exp(x)",
        "y[i] = exp(x[i])/(1 + exp(x[i]))",
        "exp(x)/(1 + exp(x))",
        "torch.sigmoid(x)",
        "jax.nn.sigmoid(x)",
    ),
    Row(
        "1 - sigmoid",
        "y[i] = 1 - 1/(1 + exp(-x[i]))",
        "1 - 1/(1 + exp(-x))",
        "torch.sigmoid(-x)",
        "jax.nn.sigmoid(-x)",
    ),
    Row(
        "derivative of sigmoid",
        "s[i] = 1/(1 + exp(-x[i])); y[i] = s[i]*(1 - s[i])",
        SIGMOID + "s*(1 - s)",
        "torch.sigmoid(x)*torch.sigmoid(-x)",
        "jax.nn.sigmoid(x)*jax.nn.sigmoid(-x)",
    ),
    Row(
        "log of a sigmoid",
        "y[i] = log(1/(1 + exp(-x[i])))",
        "log(1/(1 + exp(-x)))",
        "F.logsigmoid(x)",
        "jax.nn.log_sigmoid(x)",
    ),
    Row(
        "logit of a sigmoid",
        "s[i] = 1/(1 + exp(-x[i])); y[i] = log(s[i]/(1 - s[i]))",
        SIGMOID + "log(s/(1 - s))",
        "torch.logit(torch.sigmoid(x))",
        "jax.scipy.special.logit(jax.nn.sigmoid(x))",
    ),
    Row("softplus", "y[i] = log(1 + exp(x[i]))", "log(1 + exp(x))", "F.softplus(x)", "jax.nn.softplus(x)"),
    Row(
        "softplus, by hand",
        "y[i] = relu(x[i]) + log(1 + exp(-abs(x[i])))",
        "relu(x) + log(1 + exp(-abs(x)))",
        "F.softplus(x)",
        "jax.nn.softplus(x)",
    ),
    Row(
        "tanh",
        "y[i] = (exp(x[i]) - exp(-x[i]))/(exp(x[i]) + exp(-x[i]))",
        "(exp(x) - exp(-x))/(exp(x) + exp(-x))",
        "torch.tanh(x)",
        "jnp.tanh(x)",
    ),
    Row("tanh, by its name", "y[i] = tanh(x[i])", "tanh(x)"),
    Row("sech", "y[i] = 2/(exp(x[i]) + exp(-x[i]))", "2/(exp(x) + exp(-x))", "1/torch.cosh(x)", "1/jnp.cosh(x)"),
    Row("log of cosh", "y[i] = log(cosh(x[i]))", "log(cosh(x))"),
    Row("silu", "y[i] = x[i]/(1 + exp(-x[i]))", "x/(1 + exp(-x))", "F.silu(x)", "jax.nn.silu(x)"),
    Row("mish", "y[i] = x[i]*tanh(log(1 + exp(x[i])))", "x*tanh(log(1 + exp(x)))", "F.mish(x)", "jax.nn.mish(x)"),
    Row(
        "gelu",
        "y[i] = x[i]/2*(1 + erf(x[i]/sqrt(2)))",
        "x/2*(1 + erf(x/sqrt2))",
        "F.gelu(x)",
        "jax.nn.gelu(x, approximate=False)",
    ),
    Row(
        "elu + 1",
        "y[i] = elu(x[i]) + 1",
        "where(x > 0, x, expm1(x)) + 1",
        "F.elu(x) + 1",
        "jax.nn.elu(x) + 1",
        at=each(NONZERO),
    ),
    Row(
        "elu + 1, by where",
        "y[i] = where(x[i] > 0, x[i], exp(x[i]) - 1) + 1",
        "where(x > 0, x, exp(x) - 1) + 1",
        "F.elu(x) + 1",
        "jax.nn.elu(x) + 1",
        at=each(NONZERO),
    ),
    Row(
        "binary cross-entropy of a sigmoid",
        "s[i] = 1/(1 + exp(-x[i])); y[i] = -t[i]*log(s[i]) - (1 - t[i])*log(1 - s[i])",
        SIGMOID + "-t*log(s) - (1 - t)*log(1 - s)",
        "F.binary_cross_entropy_with_logits(x, t, reduction='none')",
        inputs=f"x: [i], {SET}",
        fixed={"t": 0.25},
    ),
    Row(
        "focal loss",
        "s[i] = 1/(1 + exp(-x[i])); y[i] = -(1 - s[i])^2*log(s[i])",
        SIGMOID + "-(1 - s)**2*log(s)",
        "-torch.sigmoid(-x)**2*F.logsigmoid(x)",
        "-jax.nn.sigmoid(-x)**2*jax.nn.log_sigmoid(x)",
    ),
    Row(
        "entropy of a sigmoid",
        "s[i] = 1/(1 + exp(-x[i])); y[i] = -s[i]*log(s[i]) - (1 - s[i])*log(1 - s[i])",
        SIGMOID + "-s*log(s) - (1 - s)*log(1 - s)",
    ),
    Row("log1p", "y[i] = log(1 + x[i])", "log(1 + x)", "torch.log1p(x)", "jnp.log1p(x)", each(NOT_NEGATIVE)),
    Row("expm1", "y[i] = exp(x[i]) - 1", "exp(x) - 1", "torch.expm1(x)", "jnp.expm1(x)"),
    Row("log1mexp", "y[i] = log(1 - exp(x[i]))", "log(1 - exp(x))", at=each(NEGATIVE)),
    Row("(1 - exp(-x))/x", "y[i] = (1 - exp(-x[i]))/x[i]", "(1 - exp(-x))/x"),
    Row("(exp(x) - 1 - x)/x^2", "y[i] = (exp(x[i]) - 1 - x[i])/x[i]^2", "(exp(x) - 1 - x)/x**2"),
    Row("sin(x)/x", "y[i] = sin(x[i])/x[i]", "sin(x)/x", "torch.sinc(x/pi)", "jnp.sinc(x/pi)"),
    Row("1 - cos", "y[i] = 1 - cos(x[i])", "1 - cos(x)", at=each(SMALL)),
    Row("1 - erf", "y[i] = 1 - erf(x[i])", "1 - erf(x)", "torch.erfc(x)", "jax.scipy.special.erfc(x)"),
    Row("sqrt(1 + x) - 1", "y[i] = sqrt(1 + x[i]) - 1", "sqrt(1 + x) - 1", at=each(NOT_NEGATIVE)),
    Row("x/(1 + x)", "y[i] = x[i]/(1 + x[i])", "x/(1 + x)", at=each(NOT_NEGATIVE)),
    Row(
        "quotient x/z",
        "y[i] = x[i]/z[i]",
        "x/z",
        at=tuple((1.0, z) for z in (2.0**-30, 2.0**-70, 2.0**30, 2.0**70)),
        inputs=TWO,
    ),
    Row(
        "x*log(x)",
        "y[i] = x[i]*log(x[i])",
        "x*log(x)",
        "torch.xlogy(x, x)",
        "jax.scipy.special.xlogy(x, x)",
        each(POSITIVE),
    ),
    Row(
        "asinh",
        "y[i] = log(x[i] + sqrt(x[i]^2 + 1))",
        "log(x + sqrt(x**2 + 1))",
        "torch.asinh(x)",
        "jnp.arcsinh(x)",
    ),
    Row(
        "atanh",
        "y[i] = log((1 + x[i])/(1 - x[i]))/2",
        "log((1 + x)/(1 - x))/2",
        "torch.atanh(x)",
        "jnp.arctanh(x)",
        each(BELOW_ONE),
    ),
    Row(
        "logaddexp",
        "y[i] = log(exp(x[i]) + exp(z[i]))",
        "log(exp(x) + exp(z))",
        "torch.logaddexp(x, z)",
        "jnp.logaddexp(x, z)",
        tuple((x, z) for x in REAL for z in (x, -x, 0.0)),
        TWO,
    ),
)
VECTOR = (
    Row(
        "softmax",
        "y[i] = exp(x[i])/(one[j]*exp(x[j]))",
        "exp(x)/sum(exp(x))",
        "torch.softmax(x, -1)",
        "jax.nn.softmax(x)",
        rows_of(REAL),
    ),
    Row(
        "softmax with a temperature",
        "y[i] = exp(16*x[i])/(one[j]*exp(16*x[j]))",
        "exp(16*x)/sum(exp(16*x))",
        "torch.softmax(16*x, -1)",
        "jax.nn.softmax(16*x)",
        rows_of(tuple(x / 16 for x in REAL)),
    ),
    Row(
        "softmax with a mask",
        "e[i] = t[i]*exp(x[i]); y[i] = e[i]/(one[j]*e[j])",
        "e = t*exp(x); e/sum(e)",
        "torch.softmax(torch.where(t > 0, x, -inf), -1)",
        "jax.nn.softmax(jnp.where(t > 0, x, -inf))",
        rows_of(REAL),
        "x: [i], t: {indices: [i], kind: bool}",
        {"t": (1.0, 1.0, 0.0)},
    ),
    Row(
        "log of a softmax",
        "p[i] = exp(x[i])/(one[j]*exp(x[j])); y[i] = log(p[i])",
        SOFT + "log(p)",
        "torch.log_softmax(x, -1)",
        "jax.nn.log_softmax(x)",
        rows_of(REAL),
    ),
    Row(
        "logsumexp",
        "y = log(one[i]*exp(x[i]))",
        "log(sum(exp(x)))",
        "torch.logsumexp(x, -1)",
        "jax.nn.logsumexp(x)",
        rows_of(REAL),
    ),
    Row(
        "mean by exponentials",
        "y = exp(x[i])*t[i]/(one[j]*exp(x[j]))",
        "sum(exp(x)*t)/sum(exp(x))",
        "torch.softmax(x, -1) @ t",
        "jax.nn.softmax(x) @ t",
        rows_of(REAL),
        f"x: [i], {SET}",
        {"t": (1.0, 2.0, -3.0)},
    ),
    Row(
        "mixture of Gaussians, its log",
        "y = log(t[i]*exp(-x[i]^2/2))",
        "log(sum(t*exp(-x**2/2)))",
        "torch.logsumexp(torch.log(t) - x**2/2, -1)",
        "jax.nn.logsumexp(jnp.log(t) - x**2/2)",
        rows_of(REAL),
        "x: [i], t: {indices: [i], domain: positive, grad: false}",
        {"t": (0.25, 0.5, 0.25)},
    ),
    Row(
        "cross-entropy of a label",
        "p[i] = exp(x[i])/(one[j]*exp(x[j])); y = -log(p[t])",
        SOFT + "-log(p[t])",
        "F.cross_entropy(x, t)",
        "-jax.nn.log_softmax(x)[t]",
        rows_of(REAL),
        **BY_LABEL,  # type: ignore[arg-type]
    ),
    Row(
        "cross-entropy, smoothed",
        "p[i] = exp(x[i])/(one[j]*exp(x[j])); y = -0.875*log(p[t]) - 0.125*mean[i](log(p[i]))",
        SOFT + "-0.875*log(p[t]) - 0.125*mean(log(p))",
        "F.cross_entropy(x, t, label_smoothing=0.125)",
        "-0.875*jax.nn.log_softmax(x)[t] - 0.125*mean(jax.nn.log_softmax(x))",
        rows_of(REAL),
        **BY_LABEL,  # type: ignore[arg-type]
    ),
    Row(
        "entropy of a softmax",
        "p[i] = exp(x[i])/(one[j]*exp(x[j])); y = -sum[i](p[i]*log(p[i]))",
        SOFT + "-sum(p*log(p))",
        "torch.distributions.Categorical(logits=x).entropy()",
        "sum(jax.scipy.special.entr(jax.nn.softmax(x)))",
        rows_of(REAL),
    ),
    Row(
        "KL of two softmaxes",
        "p[i] = exp(x[i])/(one[j]*exp(x[j])); q[i] = exp(z[i])/(one[j]*exp(z[j])); y = sum[i](p[i]*log(p[i]/q[i]))",
        SOFT + "q = exp(z)/sum(exp(z)); sum(p*log(p/q))",
        "F.kl_div(torch.log_softmax(z, -1), torch.log_softmax(x, -1), log_target=True, reduction='sum')",
        "sum(jax.scipy.special.kl_div(jax.nn.softmax(x), jax.nn.softmax(z)))",
        pairs_of(REAL),
        TWO,
    ),
    Row(
        "Jensen-Shannon of two softmaxes",
        "p[i] = exp(x[i])/(one[j]*exp(x[j])); q[i] = exp(z[i])/(one[j]*exp(z[j])); m[i] = (p[i] + q[i])/2;"
        " y = sum[i](p[i]*log(p[i]/m[i]) + q[i]*log(q[i]/m[i]))/2",
        SOFT + "q = exp(z)/sum(exp(z)); m = (p + q)/2; sum(p*log(p/m) + q*log(q/m))/2",
        at=pairs_of(REAL),
        inputs=TWO,
    ),
    Row(
        "variance",
        "m = mean[i](x[i]); v = mean[i]((x[i] - m)^2)",
        "mean((x - mean(x))**2)",
        "torch.var(x, correction=0)",
        "jnp.var(x)",
        rows_of(REAL) + SHIFTED,
    ),
    Row(
        "variance, by squares",
        "m = mean[i](x[i]); v = mean[i](x[i]^2) - m^2",
        "mean(x**2) - mean(x)**2",
        "torch.var(x, correction=0)",
        "jnp.var(x)",
        rows_of(REAL) + SHIFTED,
    ),
    Row(
        "layer norm",
        "m = mean[j](x[j]); y[i] = (x[i] - m)/sqrt(mean[j]((x[j] - m)^2) + 2^(-16))",
        "(x - mean(x))/sqrt(mean((x - mean(x))**2) + 2**-16)",
        "F.layer_norm(x, (3,), eps=2**-16)",
        "jax.nn.standardize(x, epsilon=2**-16)",
        rows_of(REAL),
    ),
    Row(
        "RMS norm",
        "y[i] = x[i]/sqrt(mean[j](x[j]^2) + 2^(-16))",
        "x/sqrt(mean(x**2) + 2**-16)",
        "F.rms_norm(x, (3,), eps=2**-16)",
        "",
        rows_of(REAL),
    ),
    Row(
        "norm",
        "y = sqrt(x[i]*x[i])",
        "sqrt(sum(x*x))",
        "torch.linalg.vector_norm(x)",
        "jnp.linalg.norm(x)",
        rows_of(NONZERO),
    ),
    Row(
        "normalised vector",
        "y[i] = x[i]/sqrt(x[j]*x[j])",
        "x/sqrt(sum(x*x))",
        "F.normalize(x, dim=-1)",
        "",
        rows_of(NONZERO),
    ),
    Row(
        "cosine similarity",
        "a = sqrt(x[i]*x[i]); b = sqrt(z[i]*z[i]); y = x[i]*z[i]/(a*b)",
        "sum(x*z)/(sqrt(sum(x*x))*sqrt(sum(z*z)))",
        "F.cosine_similarity(x, z, dim=-1)",
        "",
        pairs_of(NONZERO),
        TWO,
    ),
)
# The rows made of probabilities, whose errors are those of sums of numbers up to 1.
PROBABILITIES = tuple(replace(row, unit=1.0) for row in VECTOR if "exp(" in row.plain)
ROWS = (*SCALAR, *PROBABILITIES, *(row for row in VECTOR if "exp(" not in row.plain))
