"""Random programs, written as specs, built, and compared with both oracles.

`RANDOM_PROGRAMS=20000 pytest tests/test_random_programs.py` tries more, from other seeds.
"""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random

import pytest
from full_road import check_program
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import EXTENTS, random_program

from tensorgrad_gen import SpecError
from tensorgrad_gen.ir import Chunk, Index, Program

EVERYDAY = 160
COUNT = int(os.environ.get("RANDOM_PROGRAMS", str(EVERYDAY)))
_SHARES = 10  # parts that run side by side


@pytest.mark.parametrize("share", range(_SHARES))
def test_generated_ops_agree_with_both_oracles(share: int) -> None:
    @settings(
        max_examples=COUNT // _SHARES,
        deadline=None,
        derandomize=COUNT == EVERYDAY,  # the everyday run is the same everywhere; a longer one explores
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.integers(0, 2**32 - 1))
    def agree(seed: int) -> None:
        seed = seed * _SHARES + share
        check_program(random_program(Random(seed), 3), seed % 1000, orders=2 if seed % 3 == 0 else 1)

    agree()


@pytest.mark.parametrize("seed", [99041034, 6375, 244, 10000297, 10000382, 10000458, 10000550, 30000513, 40000080])
def test_programs_that_once_failed(seed: int) -> None:
    check_program(random_program(Random(seed), 3), seed % 1000, orders=2)


def in_blocks(seed: int) -> Program:
    """A random program, in blocks of an index that is drawn."""
    source = Random(seed)
    program = random_program(source, 3)
    letter, count = source.choice(EXTENTS), source.choice((1, 2, 3))
    return replace(program, chunk=Chunk(Index(letter, letter), count))


@pytest.mark.parametrize("share", range(4))
def test_blocks_along_any_index_change_nothing(share: int) -> None:
    """Where the index is like a batch: about half of the programs."""
    worked = 0
    for number in range(COUNT // 8):
        try:
            check_program(in_blocks(number * 4 + share), number, orders=1 + number % 2)
            worked += 1
        except SpecError as error:
            assert "error[E406]" in str(error)
    assert worked > COUNT // 32


@pytest.mark.parametrize("seed", [245, 925, 1023, 1194])
def test_blocks_that_once_failed(seed: int) -> None:
    check_program(in_blocks(seed), seed % 1000, orders=2)
