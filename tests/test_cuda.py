"""The whole library on a CUDA device: every quick check of every op runs there, where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tensorgrad_gen.api import compile_spec, load_module
from tensorgrad_gen.verify.run import verify_op

SPECS = Path(__file__).resolve().parents[1] / "specs"
GROUPS = sorted(folder.name for folder in SPECS.iterdir() if folder.is_dir())

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("group", GROUPS)
def test_every_check_passes_on_cuda(group: str) -> None:
    wrong = []
    for path in sorted((SPECS / group).glob("*.yaml")):
        compiled = compile_spec(path, standalone=True)
        module = load_module(path.stem, compiled.source)
        results = verify_op(compiled["elaborate"], module, quick=True, device="cuda")
        wrong += [f"{path.stem}, {r.check}: {r.message}" for r in results if r.status == "failed"]
    assert not wrong, "\n".join(wrong)
