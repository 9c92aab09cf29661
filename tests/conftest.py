"""Fixtures of several files of tests."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from command_line import DOUBLE, SQUARE, put
from hypothesis import HealthCheck, settings

import tensorgrad_gen

# How long an example takes says more about the machine than about the example.
settings.register_profile("laws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")

# Expressions live as long as a test, and torch for ever: looking through them so often takes a tenth of the time.
gc.set_threshold(100_000, 50, 100)

# Specs among the tests are read by tests; most are bad on purpose.
collect_ignore_glob = ["*.yaml"]


@pytest.fixture
def op_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two specs in two groups, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(tensorgrad_gen.__file__).parents[1]))
    put("specs/basics/square_it.yaml", SQUARE)
    put("specs/nn/double_it.yaml", DOUBLE)
    return tmp_path
