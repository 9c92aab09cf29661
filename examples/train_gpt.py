"""Trains a small GPT made only of generated ops, beside the same model made of PyTorch's own.

Byte embedding, rotary positions, causal attention with grouped heads, RMS norm, SwiGLU, cross-entropy: the blocks
of today's language models.  Both models start from the same weights and see the same pieces of text, the source of
Python's standard library; over 200 steps their losses must agree to 1e-3 relative in float32 (and over the first
20 to 1e-9 in float64).  The exit status is 1 if they do not.

    python examples/train_gpt.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that `generated` is found from anywhere

from generated import attention_grouped, cross_entropy, embedding, linear, rms_norm, rope, swiglu

BYTES = 256
WIDTH, HIDDEN, LAYERS = 64, 176, 2
GROUPS, REPEATS, HEAD = 2, 2, 16  # each key and value serves REPEATS heads of queries
LENGTH, BATCH = 64, 8
STEPS = {torch.float32: 200, torch.float64: 20}
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-9}
MODULES = ("argparse", "ast", "dataclasses", "inspect", "json/decoder", "pathlib", "statistics", "typing")

Op = Callable[..., Tensor]


def _torch_rope(x: Tensor) -> Tensor:
    """Each pair of features as a complex number, turned by an angle that grows with the place."""
    places, pairs = x.shape[1:3]
    angle = torch.arange(places, dtype=x.dtype)[:, None] * 10000.0 ** (-torch.arange(pairs, dtype=x.dtype) / pairs)
    return torch.view_as_real(torch.view_as_complex(x.contiguous()) * torch.polar(torch.ones_like(angle), angle))


def _torch_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    y = F.scaled_dot_product_attention(q.flatten(1, 2), k, v, is_causal=True, enable_gqa=True)
    return y.unflatten(1, q.shape[1:3])


@dataclass(frozen=True)
class Ops:
    """The ops that the model is made of."""

    embedding: Op
    rms_norm: Op
    linear: Op
    rope: Op
    attention: Op
    swiglu: Op
    cross_entropy: Op


GENERATED = Ops(embedding, rms_norm, linear, rope, attention_grouped, swiglu, cross_entropy)
PYTORCH = Ops(
    F.embedding,
    lambda x, w: F.rms_norm(x, x.shape[-1:], w, eps=1e-6),
    F.linear,
    _torch_rope,
    _torch_attention,
    lambda a, b: F.silu(a) * b,
    F.cross_entropy,
)
SHAPES = {
    "attention_norm": (WIDTH,),
    "wq": (GROUPS * REPEATS * HEAD, WIDTH),
    "wk": (GROUPS * HEAD, WIDTH),
    "wv": (GROUPS * HEAD, WIDTH),
    "wo": (WIDTH, GROUPS * REPEATS * HEAD),
    "mlp_norm": (WIDTH,),
    "up": (HIDDEN, WIDTH),
    "gate": (HIDDEN, WIDTH),
    "down": (WIDTH, HIDDEN),
}


class GPT(torch.nn.Module):
    """Embedding, blocks of attention and SwiGLU, a last norm, the scores of the next byte."""

    def __init__(self, ops: Ops, dtype: torch.dtype) -> None:
        super().__init__()
        self.ops = ops
        source = torch.Generator().manual_seed(0)

        def weight(*shape: int) -> torch.nn.Parameter:
            if len(shape) == 1:
                return torch.nn.Parameter(torch.ones(shape, dtype=dtype))
            scale = shape[-1] ** -0.5
            return torch.nn.Parameter((torch.randn(shape, generator=source, dtype=torch.float64) * scale).to(dtype))

        self.table = weight(BYTES, WIDTH)
        self.blocks = torch.nn.ModuleList(
            torch.nn.ParameterDict({name: weight(*shape) for name, shape in SHAPES.items()}) for _ in range(LAYERS)
        )
        self.norm = weight(WIDTH)
        self.head = weight(BYTES, WIDTH)

    def forward(self, text: Tensor) -> Tensor:
        x = self.ops.embedding(text, self.table)
        for block in self.blocks:
            x = x + self._attend(block, self.ops.rms_norm(x, block["attention_norm"]))
            h = self.ops.rms_norm(x, block["mlp_norm"])
            h = self.ops.swiglu(self.ops.linear(h, block["gate"]), self.ops.linear(h, block["up"]))
            x = x + self.ops.linear(h, block["down"])
        return self.ops.linear(self.ops.rms_norm(x, self.norm), self.head)

    def _attend(self, block: torch.nn.ParameterDict, x: Tensor) -> Tensor:
        q = self._heads(self.ops.linear(x, block["wq"]), turned=True).unflatten(1, (GROUPS, REPEATS))
        k = self._heads(self.ops.linear(x, block["wk"]), turned=True)
        v = self._heads(self.ops.linear(x, block["wv"]), turned=False)
        y = self.ops.attention(q, k, v).flatten(1, 2).transpose(1, 2).flatten(2)
        return self.ops.linear(y, block["wo"])

    def _heads(self, x: Tensor, turned: bool) -> Tensor:
        """`[batch, place, head * feature]` as `[batch, head, place, feature]`, turned by the place."""
        x = x.unflatten(-1, (-1, HEAD)).transpose(1, 2)
        if not turned:
            return x
        pairs = x.reshape(-1, x.shape[2], HEAD // 2, 2)
        return self.ops.rope(pairs).reshape(x.shape)


def text() -> Tensor:
    """The source of some modules of the standard library, as bytes."""
    folder = Path(dataclass.__code__.co_filename).parent
    source = b"".join((folder / f"{name}.py").read_bytes() for name in MODULES)
    return torch.tensor(list(source))


def pieces(source: Tensor, steps: int) -> Tensor:
    """Pieces of the text and the byte after each, for every step: the same ones each time."""
    rng = torch.Generator().manual_seed(1)
    starts = torch.randint(len(source) - LENGTH - 1, (steps, BATCH, 1), generator=rng)
    return source[starts + torch.arange(LENGTH + 1)]


def train(ops: Ops, dtype: torch.dtype, source: Tensor) -> list[float]:
    """The loss of each step."""
    model = GPT(ops, dtype)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    losses: list[float] = []
    for piece in pieces(source, STEPS[dtype]):
        optimiser.zero_grad()
        scores = model(piece[:, :-1])
        loss = ops.cross_entropy(scores.flatten(0, 1), piece[:, 1:].flatten())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def compare(dtype: torch.dtype, source: Tensor) -> bool:
    """Whether the losses of the two models agree; prints some side by side."""
    ours, theirs = train(GENERATED, dtype, source), train(PYTORCH, dtype, source)
    print(f"{dtype}\n  step       generated         pytorch     relative")
    apart = [abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True)]
    every = max(1, len(ours) // 10)
    for step in [0, *range(every - 1, len(ours), every)]:
        print(f"  {step + 1:4}  {ours[step]:14.10f}  {theirs[step]:14.10f}  {apart[step]:11.1e}")
    fine = max(apart) <= TOLERANCE[dtype]
    verdict = "equal" if fine else "NOT EQUAL"
    print(f"  largest difference {max(apart):.1e}, allowed {TOLERANCE[dtype]:.0e}: {verdict}\n")
    return fine and ours[-1] < ours[0]


def main() -> int:
    torch.set_num_threads(1)  # the tensors are small: threads cost more than they bring
    source = text()
    print(f"{len(source):,} bytes of source\n")
    equal = [compare(dtype, source) for dtype in TOLERANCE]
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
