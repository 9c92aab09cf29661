"""Tests of an op that need nothing of the generator: the plain formula in torch, and what the op is held to."""

from tensorgrad_gen.op_tests.module import TestMeta, render_test

__all__ = ["TestMeta", "render_test"]
