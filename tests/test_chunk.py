"""An op with `chunk` is the op without it, in less memory: values, every derivative, every transform."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
import torch
from test_label_memory import labels, peak
from torch import Tensor, func
from torch._dynamo.testing import CompileCounterWithBackend
from torch.testing import assert_close

from tensorgrad_gen import SpecError, load_op
from tensorgrad_gen.api import compile_spec

CHUNK = "chunk: {index: n, count: 8}\n"
LINEAR_CROSS_ENTROPY = """op: case
doc: Cross-entropy of labels from a linear map.
inputs: {x: [n, d], w: [v, d], t: {indices: [n], kind: label, labels: v}}
sizes: {N: n}
equations: |
  z[n,v] = x[n,d]*w[v,d]
  c[n]   = logsumexp[v](z[n,v]) - z[n,t[n]]
  l      = 1/N*one[n]*c[n]
"""
SEVERAL = """op: case
doc: A layer, the mean of what it makes, and a norm of that.
inputs: {x: [n, d], w: [d, h], b: {indices: [h], default: 0}, s: {indices: [n], default: 1}, u: [h]}
params: {eps: 0.5}
equations: |
  y[n,h] = tanh(x[n,d]*w[d,h] + b[h])
  m[h]   = mean[n](s[n]*y[n,h])
  r      = sqrt(one[h]*m[h]^2*u[h] + eps)
outputs: [y, m, r]
"""
TWO_ROUNDS = """op: case
doc: Batch normalisation, the weights normalised too.
inputs: {x: [n, h], w: [h]}
params: {eps: 0.1}
sizes: {N: n}
equations: |
  m[h]   = 1/N*one[n]*x[n,h]
  v[h]   = 1/N*one[n]*(x[n,h] - m[h])^2
  g[h]   = w[h]/norm[h](w[h])
  y[n,h] = (x[n,h] - m[h])/sqrt(v[h] + eps)*g[h]
"""
ATTENTION = """op: case
doc: Attention, in blocks of queries.
inputs: {q: [..., n, d], k: [..., m, d], v: [..., m, e]}
sizes: {D: d}
equations: |
  p[...,n,m] = softmax[m](1/sqrt(D)*q[...,n,d]*k[...,m,d])
  y[...,n,e] = p[...,n,m]*v[...,m,e]
"""
WITH_LABELS = """op: case
doc: The nearest of some points, and how far it is.
inputs: {x: [n, d], p: [k, d]}
equations: |
  a[n] = argmax[k](x[n,d]*p[k,d])
  f[n] = x[n,d]*p[a[n],d]
  b    = one[n]*[f[n] > 0]*f[n]
outputs: [a, f, b]
"""
COMPLEX = """op: case
doc: Power of a mixture.
inputs: {x: {indices: [n, d], kind: complex}, w: [d], s: {indices: [n], kind: bool}}
equations: |
  z[n] = x[n,d]*w[d]
  l    = sum[n]([s[n]]*real(z[n]*conj(z[n])))
"""
SIZE_ALONE = """op: case
doc: The length of an axis that no tensor but the blocks have.
inputs: {x: [n, d], w: [d]}
sizes: {N: n}
equations: |
  y[d] = N*w[d] + one[n]*[n < 2]*w[d] + one[n]*sin(x[n,d]*w[d])
"""
NO_INPUT = """op: case
doc: A turn by an angle that depends on no input.
inputs: {x: [n, s], t: {indices: [n], kind: label, labels: s}}
equations: |
  a[s]   = sum[k]([k <= s]*cos(k))
  y[n,s] = x[n,s]*a[s]*sin(s)
  c[s]   = sum[n](delta[s,t[n]])
sizes: {K: {index: k, extent: 3}}
outputs: [y, c]
"""
PAIRS = """op: case
doc: Each row of a finds its partner among the rows of b.
inputs: {a: [n, d], b: [n, d]}
params: {tau: 0.7}
equations: |
  s[n,m] = 1/tau*a[n,d]*b[m,d]
  l      = mean[n](logsumexp[m](s[n,m]) - s[n,n])
"""
CAUSAL = """op: case
doc: Causal attention, in blocks of queries, with weights by distance.
inputs: {q: [b, n, d], k: [b, m, d], v: [b, m, e], w: [r]}
equations: |
  s[b,n,m] = q[b,n,d]*k[b,m,d] + where(m <= n, w[clamp(n - m)], 0)
  p[b,n,m] = softmax[m](where(m <= n, s[b,n,m], -inf))
  y[b,n,e] = p[b,n,m]*v[b,m,e]
"""
VIEWS = """op: case
doc: Two views of each example, itself left out (Chen et al., SimCLR, 2020).
inputs: {z: [n, d], t: {indices: [n], kind: label, labels: n}}
equations: |
  u[n,d] = z[n,d]/norm[d](z[n,d])
  s[n,m] = 2*u[n,d]*u[m,d]
  c[n]   = logsumexp[m](where(m != n, s[n,m], 1)) - s[n,t[n]]
  l      = one[n]*c[n]^2
"""
PLACES = """op: case
doc: Positions, diagonals and products of rows with each other.
inputs: {x: [n, d], a: [n, n], c: [n]}
equations: |
  y[n]   = x[n,d]*one[d]*n + a[n,n]
  g[n,m] = x[n,d]*x[m,d] + c[n]*delta[n,m]
  h[p]   = sum[q](sin(x[p,d]*x[q,d]))
outputs: [y, g, h]
"""
SPECS = {
    "pairs": PAIRS,
    "causal": CAUSAL,
    "views": VIEWS,
    "places": PLACES,
    "no_input": NO_INPUT,
    "linear_cross_entropy": LINEAR_CROSS_ENTROPY,
    "several": SEVERAL,
    "two_rounds": TWO_ROUNDS,
    "attention": ATTENTION,
    "with_labels": WITH_LABELS,
    "complex": COMPLEX,
    "size_alone": SIZE_ALONE,
}


def inputs_of(name: str, n: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
    """Inputs with n rows, that require gradients where they may."""
    rng = torch.Generator().manual_seed(n)

    def real(*shape: int, kind: torch.dtype = dtype) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=kind).requires_grad_()

    flags = torch.randint(2, (n,), generator=rng)
    return {
        "linear_cross_entropy": lambda: (real(n, 3), real(2, 3), flags),
        "several": lambda: (real(n, 3), real(3, 2), real(2), None, real(2).detach().abs().requires_grad_()),
        "no_input": lambda: (real(n, 2), flags),
        "pairs": lambda: (real(n, 3), real(n, 3)),
        "causal": lambda: (real(2, n, 3), real(2, 5, 3), real(2, 5, 2), real(4)),
        "views": lambda: (real(n, 3), torch.randint(max(n, 1), (n,), generator=rng)),
        "places": lambda: (real(n, 3), real(n, n), real(n)),
        "two_rounds": lambda: (real(n, 3), real(3)),
        "attention": lambda: (real(2, n, 3), real(2, 4, 3), real(2, 4, 2)),
        "with_labels": lambda: (real(n, 3), real(4, 3)),
        "complex": lambda: (real(n, 3, kind=torch.complex128), real(3), flags.bool()),
        "size_alone": lambda: (real(n, 2), real(2)),
    }[name]()


def tupled(found: Any) -> tuple[Tensor, ...]:
    return found if isinstance(found, tuple) else (found,)


def moved(args: tuple[Any, ...]) -> list[Tensor]:
    return [a for a in args if isinstance(a, Tensor) and a.requires_grad]


def first_and_second(op: Any, args: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """Outputs, gradients of what is random combined of them, and gradients of those."""
    outputs = tupled(op(*args))
    floats = [y for y in outputs if y.is_floating_point()]
    leaves = moved(args)
    rng = torch.Generator().manual_seed(1)
    cotangents = [torch.randn(y.shape, generator=rng, dtype=y.dtype) for y in floats]
    first = torch.autograd.grad(floats, leaves, cotangents, create_graph=True, materialize_grads=True)
    total = sum((g * g.conj()).real.sum() for g in first)
    total = total + sum(0 * leaf.detach().requires_grad_().abs().sum() for leaf in leaves)  # a linear op's is constant
    second = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
    return (*outputs, *first, *second)


@cache
def both(name: str) -> tuple[Any, Any]:
    return load_op(SPECS[name] + CHUNK), load_op(SPECS[name])


@pytest.mark.parametrize("name", SPECS)
def test_blocks_change_no_value_and_no_derivative(name: str) -> None:
    chunked, plain = both(name)
    for n in (0, 1, 3, 8, 21):
        args = inputs_of(name, n)
        found, wanted = first_and_second(chunked, args), first_and_second(plain, args)
        if n == 0:  # 1/N of a mean of nothing: NaN beside an empty sum, nothing inside of one
            found, wanted = (tuple(t.detach().nan_to_num() for t in side) for side in (found, wanted))
        assert_close(found, wanted, equal_nan=True)


@pytest.mark.parametrize("name", SPECS)
def test_blocks_change_no_transform(name: str) -> None:
    chunked, plain = both(name)
    args = inputs_of(name, 5)
    places = [k for k, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]

    def floats(op: Any) -> Any:
        def run(*leaves: Tensor) -> tuple[Tensor, ...]:
            given = list(args)
            for place, leaf in zip(places, leaves, strict=True):
                given[place] = leaf
            return tuple(y for y in tupled(op(*given)) if y.is_floating_point())

        return run

    leaves = tuple(a.detach() for a in moved(args))
    tangents = tuple(torch.randn_like(leaf) for leaf in leaves)
    stacked = tuple(torch.stack([leaf, 2 * leaf]) for leaf in leaves)
    for transform in (
        lambda f: func.jvp(f, leaves, tangents),
        lambda f: func.vjp(f, *leaves)[1](f(*leaves)),
        lambda f: func.vmap(f)(*stacked),
        lambda f: func.vmap(func.grad(lambda *own: sum(y.sum() for y in f(*own)), tuple(range(len(leaves)))))(*stacked),
        lambda f: func.jvp(lambda *own: func.vjp(f, *own)[1](f(*own)), leaves, tangents),
    ):
        assert_close(transform(floats(chunked)), transform(floats(plain)))


@pytest.mark.parametrize(
    "dtypes", [(torch.bfloat16,) * 2, (torch.float16, torch.float32), (torch.float32, torch.float64)]
)
def test_blocks_round_no_more_than_the_whole(dtypes: tuple[torch.dtype, torch.dtype]) -> None:
    chunked, plain = both("several")
    x, w, u, _, v = (None if a is None else a.detach() for a in inputs_of("several", 200))
    args = [
        None if a is None else a.to(kind) for a, kind in zip((x, w, u, None, v), (*dtypes, dtypes[0], None, dtypes[0]))
    ]
    leaves = [a.requires_grad_() for a in args if a is not None]
    for region in (torch.autocast("cpu", enabled=False), torch.autocast("cpu", dtype=torch.bfloat16)):
        with region:
            ours, theirs = chunked(*args), plain(*args)
        assert [y.dtype for y in ours] == [torch.promote_types(*dtypes)] * 3
        assert_close(ours, theirs)
        loss = [sum(y.float().sum() for y in ys) for ys in (ours, theirs)]
        found, wanted = (torch.autograd.grad(total, leaves) for total in loss)
        assert_close(found, wanted, rtol=2e-2, atol=2e-2 if torch.bfloat16 in dtypes else 2e-3)


def test_linear_cross_entropy_in_blocks_holds_a_fifth_of_what_torch_holds() -> None:
    chunked, plain = both("linear_cross_entropy")
    x, w = (torch.randn(count, 64, requires_grad=True) for count in (1024, 8000))
    t, logits = labels(1024, 8000), 1024 * 8000 / w.numel()
    theirs = peak(lambda: torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, w), t), w)
    assert peak(lambda: plain(x, w, t), w) > 2.9 * logits
    assert peak(lambda: chunked(x, w, t), w) < 0.46 * logits < theirs / 5


def test_inputs_are_checked_as_without_blocks() -> None:
    chunked, _ = both("linear_cross_entropy")
    x, w = torch.randn(5, 3), torch.randn(2, 3)
    with pytest.raises(ValueError, match=r"index n is 5 in x .axis 0. but 4 in t"):
        chunked(x, w, torch.zeros(4, dtype=torch.int64))
    with pytest.raises(IndexError, match="a label in t is outside the axis"):
        chunked(x, w, torch.full((5,), 7))


def test_the_module_says_what_is_never_whole() -> None:
    source = compile_spec(LINEAR_CROSS_ENTROPY + CHUNK).source
    assert "never whole: z[n,v], log_softmax_z[n,v], c[n]; added up over the blocks: l." in " ".join(source.split())


HEAD = "op: case\ndoc: A case.\n"
REFUSED = {
    "inputs: {x: [n, d]}\nequations: y[n,d] = softmax[n](x[n,d])": ("y", "`softmax[n]` runs along it"),
    "inputs: {x: [n]}\nequations: y = max[n](x[n])": ("y", "`max[n]` runs along it"),
    "inputs: {x: [n]}\nequations: y[n] = cumsum[n](x[n])": ("y", "`cumsum[n]` runs along it"),
    "inputs: {x: [n], w: [k]}\nequations: y[i] = x[i+k]*w[k]": ("y", "`x` is read there at a position or label"),
    "inputs: {x: [n], t: {indices: [k], kind: label, labels: n}}\nequations: y[k] = x[t[k]]^2": (
        "y",
        "`x` is read there at a position or label",
    ),
    "inputs: {x: [n, k]}\nequations: y[k,n] = pinv(x)[k,n]": ("y", "it is an axis of a matrix"),
    "inputs: {x: {indices: [n, k], structure: symmetric}}\nequations: y[n] = x[n,k]*one[k]": (
        "x",
        "it is an axis of a symmetric matrix",
    ),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_batch_like_is_refused_with_the_tensor(text: str) -> None:
    tensor, why = REFUSED[text]
    with pytest.raises(SpecError) as caught:
        compile_spec(f"{HEAD}{text}\n{CHUNK}")
    assert f"error[E406]: `n` is not batch-like in `{tensor}`: {why}" in str(caught.value)
    assert "chunk: {index: n, count: 8}" in str(caught.value)


PLACES = {
    "l[v] = logsumexp[n](z[n,v])\n  y = one[v]*(l[v] - z[0,v])": ("l", "`logsumexp[n]` runs along it", "logsumexp"),
    "y[v] = logsumexp[n](z[n,v]) - z[0,v]": ("y", "`logsumexp[n]` runs along it", "logsumexp"),
    "y[n,v] = -log(exp(z[n,v])/(one[k]*exp(z[k,v])))": (
        "y",
        "it is computed as a `log_softmax`, which runs along it",
        "y[n,v] = -log(exp(z[n,v])/(one[k]*exp(z[k,v])))",
    ),
    "u[n,v] = 2*z[n,v]\n  y[v] = mean[n](exp(u[n,v])*u[0,v])": ("y", "`u` is read", "u[0,v]"),
    "y[k] = [n <= k]*x[n,0]*x[k,0]": ("y", "a sum along it compares its position", "y[k] = [n <= k]*x[n,0]*x[k,0]"),
    "c[n,v] = cumsum[n](z[n,v])\n  y = one[n]*one[v]*c[n,v]": ("c", "`cumsum[n]` runs along it", "cumsum"),
    "y = norm[n](z[n,0])": ("y", "`norm[n]` runs along it", "norm"),
}


@pytest.mark.parametrize("equations", PLACES)
def test_the_place_at_fault_is_quoted_beside_the_chunk(equations: str) -> None:
    tensor, why, under = PLACES[equations]
    with pytest.raises(SpecError) as caught:
        compile_spec(
            f"{HEAD}inputs: {{x: [n, d], w: [d, v]}}\nequations: |\n  z[n,v] = x[n,d]*w[d,v]\n  {equations}\n{CHUNK}"
        )
    (error,) = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert error.message.startswith(f"`n` is not batch-like in `{tensor}`: {why}")
    lines = caught.value.text.split("\n")
    assert error.span is not None
    assert lines[error.span.line - 1][error.span.column - 1 : error.span.end_column - 1] == under
    _, shown = str(caught.value).split("error[E406]")
    assert [line for line in lines if line in shown and line.strip()] == [lines[error.span.line - 1], CHUNK.strip()]


def test_the_indices_that_can_be_cut_are_named() -> None:
    with pytest.raises(SpecError, match="help: chunk along `d` or `v`, or leave `chunk` out"):
        compile_spec(f"{HEAD}inputs: {{x: [n, d], w: [d, v]}}\nequations: y[v] = max[n](x[n,d]*w[d,v])\n{CHUNK}")
    with pytest.raises(SpecError, match="help: leave `chunk` out: only"):
        compile_spec(f"{HEAD}inputs: {{x: [n]}}\nequations: y = max[n](x[n])\n{CHUNK}")


def test_a_length_that_nothing_tells_is_refused() -> None:
    with pytest.raises(SpecError, match=r"E406.*every input with an axis `n` may be left out"):
        compile_spec(
            f"{HEAD}inputs: {{x: {{indices: [n], default: 1}}, w: [d]}}\nequations: y[n,d] = x[n]*w[d]\n{CHUNK}"
        )


@pytest.mark.parametrize("name", ["linear_cross_entropy", "several"])
def test_blocks_compile_to_one_graph_for_every_length(name: str) -> None:
    chunked, plain = both(name)
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(chunked, fullgraph=True, backend=counter, dynamic=True)
    for n in (16, 21, 40):
        args = inputs_of(name, n)
        ours, theirs = compiled(*args), plain(*args)
        assert_close(ours, theirs)
        loss = [sum(y.square().sum() for y in tupled(ys)) for ys in (ours, theirs)]
        assert_close(*(torch.autograd.grad(total, moved(args)) for total in loss))
    assert counter.frame_count == 1


def test_a_second_part_of_a_kind_is_called_after_what_it_computes() -> None:
    equations = "m = mean[n](exp(w)*x[n])^2 + w\n  y[n] = x[n]^2 - m"
    source = compile_spec(f"op: mean_off\ninputs: {{x: [n], w: []}}\nequations: |\n  {equations}\n{CHUNK}").source
    classes = re.findall(r"^class (\w+)\(torch", source, re.MULTILINE)
    assert classes == ["_MeanOffBlock", "_MeanOffMWhole", "_MeanOffYBlock"]


RANKS = """\
op: ranks
inputs: {s: [n, m], t: [n]}
equations: |
  rank[n] = sum[m](where(m != n, (s[n,m] - s[n,n])^2*t[m], 0))
  y       = mean[n](rank[n]*t[n])
sizes: {N: {index: m, extent: size(n)}}
outputs: [y]
"""


def test_the_position_of_a_block_is_read_without_a_test_of_where_it_is() -> None:
    whole: Any = load_op(RANKS)
    chunked: Any = load_op(RANKS + "chunk: {index: n, count: 3}\n")
    assert ".any(" not in compile_spec(RANKS + "chunk: {index: n, count: 3}\n").source
    found = []
    for op in (whole, chunked):
        generator = torch.Generator().manual_seed(2)
        s = torch.randn(7, 7, generator=generator, dtype=torch.float64, requires_grad=True)
        t = torch.randn(7, generator=generator, dtype=torch.float64, requires_grad=True)
        y = op(s, t)
        found.append((y, *torch.autograd.grad(y, (s, t))))
    torch.testing.assert_close(*found)
