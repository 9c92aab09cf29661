"""What an op costs is compared with: autograd of its formula, unless it is listed here.

An entry that is no longer needed, because autograd of the formula costs no less, fails `tests/test_counters.py`.
"""

from __future__ import annotations

# A ratio is of so many digits.
DIGITS = 1.002

# Autograd of the formula is inexact where the op is exact: the peer is the formula of `tests/exact_formulas.py`.
EXACT = {
    "sigmoid": "in the tail, where `1 - s` is 0",
    "tanh_op": "in the tail, where `1 - y^2` is 0",
    "lstm_cell": "where a gate is nearly 1",
    "log_cosh": "beside 0, where the cosine is 1",
    "log_cosh_loss": "beside 0, where the cosine is 1",
    "sinc": "beside 0, where the derivative is a difference over a square",
    "vae_kl": "beside 0, where the exponential and its tangent are one",
    "hypot_op": "at 0, where 0 is divided by 0",
    "xlogx": "at 0, where 0 is times the logarithm",
    "jsd": "where a probability is 0",
    "reciprocal": "where the square of the divisor is beyond the dtype",
}

# What one pass makes of what is kept is not kept, where autograd keeps it: with `save: all` the op costs no more.
KEEPS_LESS = {
    "geglu": "the activation",
    "swiglu": "the activation",
    "mae": "the difference",
    "quantile_loss": "the difference",
    "triplet": "the differences",
    "dpo": "the difference of differences",
    "focal": "the probability and the cross-entropy",
    "a_sin_axb": "the sine",
    "mttkrp": "the product of the factors",
    "embedding_bag": "the rows that are looked up",
    "attention": "what is as large as the product of two lengths",
    "attention_grouped": "what is as large as the product of two lengths",
    "cross_attention": "what is as large as the product of two lengths",
}

# Worked in blocks, each computed again in backward: less is alive at a time; without `chunk`, nothing costs more.
IN_BLOCKS = {
    "linear_cross_entropy": "the logits",
    "gaussian_kernel_sum": "the kernel",
}
