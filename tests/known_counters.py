"""Ops that cost more than autograd of their formula: (op, counter) -> ours in multiples of theirs.

To be shrunk: an entry that is no longer needed, or gets worse, fails `tests/test_counters.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

# A ratio is of so many digits.
DIGITS = 1.002

KNOWN: dict[tuple[str, str], float] = {
    # Exact where autograd of the formula is not: in tails, beside 0, at 0 (`test_what_costs_more_for_being_exact`).
    ("sigmoid", "bytes"): 1.600,
    ("sigmoid", "flops"): 1.500,
    ("tanh_op", "bytes"): 2.000,
    ("tanh_op", "flops"): 2.000,
    ("log_cosh", "bytes"): 3.667,
    ("log_cosh", "flops"): 3.800,
    ("log_cosh_loss", "bytes"): 3.059,
    ("log_cosh_loss", "flops"): 2.875,
    ("sinc", "bytes"): 2.358,
    ("sinc", "flops"): 2.429,
    ("vae_kl", "bytes"): 2.200,
    ("vae_kl", "flops"): 1.834,
    ("hypot_op", "bytes"): 1.134,
    ("hypot_op", "flops"): 1.200,
    ("xlogx", "flops"): 1.167,
    ("jsd", "bytes"): 1.080,
    ("jsd", "flops"): 1.251,
    ("power", "bytes"): 1.073,
    ("mod_relu", "bytes"): 1.165,
    ("mod_relu", "flops"): 1.206,
    # Divided by twice, where the square of the divisor is beyond the dtype.
    ("reciprocal", "bytes"): 1.112,
    # What one pass makes of what is kept is not kept, where autograd keeps it: the rule of saving decides.
    ("geglu", "bytes"): 1.143,
    ("geglu", "flops"): 1.200,
    ("swiglu", "bytes"): 1.143,
    ("swiglu", "flops"): 1.200,
    ("mlp", "bytes"): 1.047,
    ("mae", "bytes"): 1.250,
    ("mae", "flops"): 1.167,
    ("dpo", "bytes"): 1.543,
    ("dpo", "flops"): 1.553,
    ("focal", "bytes"): 1.286,
    ("focal", "flops"): 1.244,
    ("quantile_loss", "bytes"): 1.038,
    ("triplet", "bytes"): 1.006,
    ("gru_cell", "bytes"): 1.043,
    ("gru_cell", "flops"): 1.004,
    ("lstm_cell", "bytes"): 1.172,
    ("lstm_cell", "flops"): 1.011,
    ("embedding_bag", "bytes"): 1.014,
    ("mttkrp", "flops"): 1.006,
    ("a_sin_axb", "bytes"): 1.078,
    ("gaussian_kernel_sum", "flops"): 1.076,
    ("attention", "flops"): 1.142,
    ("attention_grouped", "flops"): 1.145,
    ("cross_attention", "bytes"): 1.311,
    ("cross_attention", "flops"): 1.160,
    # Worked in blocks: what has not the index of the blocks is read for each of them.
    ("linear_cross_entropy", "bytes"): 1.459,
    # The order of a contraction, chosen without the extents.
    # A call more than one of PyTorch's private operators takes, or a pass more over what is small beside the rest.
    ("logdet", "bytes"): 1.070,
}


def rewritten(text: str, name: str, ratios: Mapping[str, float]) -> str:
    """The text of this file, with the entries of an op as they are measured; new ones come last."""
    for counter, ratio in ratios.items():
        shown = "math.inf" if math.isinf(ratio) else f"{math.ceil(ratio * 1000) / 1000:.3f}"
        line = f'    ("{name}", "{counter}"): {shown},\n' if ratio > DIGITS else ""
        place = re.compile(rf'    \("{name}", "{counter}"\): [\w.]+,\n')
        text = place.sub(line, text) if place.search(text) else text.replace("\n}\n", f"\n{line}}}\n", 1)
    return text
