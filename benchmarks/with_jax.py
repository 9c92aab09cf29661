"""The side of JAX: a process of a Python that has jax, asked for rows and rounds by lines of JSON.

    {"row": "softmax", "inputs": [{"shape": [4, 8], "below": 0, "grad": true}]}  ->  {"version": "0.10.2"}
    {"times": 3}  ->  {"seconds": 0.001}

Law: compiled by `jit`, 32 bits, on a CPU; values and all gradients, as on the other sides. Nothing is of torch.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

if len(sys.argv) > 1 and hasattr(os, "sched_setaffinity"):  # before jax counts the cores
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])

import jax  # type: ignore[import-not-found,unused-ignore]
import jax.numpy as jnp  # type: ignore[import-not-found,unused-ignore]
from jax import nn

EPS = 1e-5


def rms_norm(x: Any, w: Any) -> Any:
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + EPS) * w


def layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + EPS) * gamma + beta


def cross_entropy(x: Any, t: Any) -> Any:
    return (nn.logsumexp(x, -1) - jnp.take_along_axis(x, t[:, None], 1)[:, 0]).mean()


def attention(q: Any, k: Any, v: Any) -> Any:
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    earlier = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    return nn.softmax(jnp.where(earlier, scores, -jnp.inf), -1) @ v


def jsd(p: Any, q: Any) -> Any:
    m = (p + q) / 2
    return (p * jnp.log(p / m) / 2 + q * jnp.log(q / m) / 2).sum(-1).mean()


def cp_loss(t: Any, a: Any, b: Any, c: Any) -> Any:
    return ((t - jnp.einsum("ir,jr,kr->ijk", a, b, c)) ** 2).sum()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "rms_norm": rms_norm,
    "layer_norm": layer_norm,
    "softmax": nn.softmax,
    "log_softmax": nn.log_softmax,
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: nn.gelu(x, approximate=True),
    "swiglu": lambda a, b: nn.silu(a) * b,
    "cross_entropy": cross_entropy,
    "linear_cross_entropy": lambda x, w, t: cross_entropy(x @ w.T, t),
    "kl_div": lambda x, t: (jax.scipy.special.xlogy(t, t) - t * x).sum(-1).mean(),
    "jsd": jsd,
    "bilinear": lambda x, w, z: jnp.einsum("bi,oij,bj->bo", x, w, z),
    "chain": lambda a, b, c, v: jnp.einsum("ij,jk,kl,l->i", a, b, c, v),
    "lora": lambda x, w, a, b: x @ w + 2.0 * ((x @ a) @ b),
    "attention": attention,
    "cp_loss": cp_loss,
    "tanh_cell": lambda x, w, h, u, c: jnp.tanh(x @ w + h @ u + c),
}
# The Hessian by one input.
HESSIANS: dict[str, Callable[..., Any]] = {
    "quadratic": jax.hessian(lambda x, a: x @ a @ x),
    "logsumexp": jax.hessian(nn.logsumexp),
    "logistic": jax.hessian(lambda y, x, w: nn.softplus(-y * (x @ w)).sum(), 2),
}


def call_of(row: str, inputs: list[dict[str, Any]]) -> Callable[[], Any]:
    """What is timed: a compiled function of random arrays."""
    key = jax.random.key(0)
    arrays = [_array(jax.random.fold_in(key, n), item) for n, item in enumerate(inputs)]
    by = [n for n, item in enumerate(inputs) if item["grad"]]

    def both_ways(*given: Any) -> Any:
        def of_wanted(*wanted: Any) -> Any:
            full = list(given)
            for place, array in zip(by, wanted, strict=True):
                full[place] = array
            return FUNCTIONS[row](*full)

        value, pull = jax.vjp(of_wanted, *(given[n] for n in by))
        return value, pull(jnp.ones_like(value))

    compiled = jax.jit(HESSIANS.get(row, both_ways))
    return lambda: jax.block_until_ready(compiled(*arrays))


def _array(key: Any, item: dict[str, Any]) -> Any:
    if item["below"]:
        return jax.random.randint(key, item["shape"], 0, item["below"])
    # Positive, below 1: what is a probability or a logarithm may be one here too.
    return jax.random.uniform(key, item["shape"], minval=0.1, maxval=0.9)


def main() -> None:
    call: Callable[[], Any] = object
    for line in sys.stdin:
        asked = json.loads(line)
        if "row" in asked:
            call = call_of(asked["row"], asked["inputs"])
            call()
            answer: dict[str, Any] = {"version": jax.__version__}
        else:
            start = time.perf_counter()
            for _ in range(asked["times"]):
                call()
            answer = {"seconds": time.perf_counter() - start}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
