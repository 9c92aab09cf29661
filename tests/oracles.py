"""The oracles' side of a stage test: evaluate what a stage made with the NumPy interpreter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tensorgrad_gen.derive import derive
from tensorgrad_gen.ir import Program, Statement
from tensorgrad_gen.normalise import normalise
from tensorgrad_gen.plan import Plan, Step, plan
from tensorgrad_gen.reference import environment, evaluate, sample_inputs
from tensorgrad_gen.reference.evaluator import Evaluator
from tensorgrad_gen.simplify import simplify

Array = np.ndarray[Any, Any]


class Stages:
    """All stages of a program, evaluated on one sample."""

    def __init__(self, program: Program, seed: int = 0, inputs: Any = None, params: Any = None) -> None:
        self.program = program
        self.normal = normalise(program)
        self.derived = derive(self.normal)
        self.simple = simplify(self.derived)
        self.plan: Plan = plan(self.simple)
        if inputs is None:
            inputs, params = sample_inputs(program, seed)
        self.inputs, self.params = inputs, params
        self.values = evaluate(program, self.inputs, self.params)
        rng = np.random.default_rng(seed + 1)
        self.cotangents = {o: rng.standard_normal(self.values[o].shape) for o in program.outputs}

    def run(self, statements: Iterable[Statement | Step], given: Mapping[str, Array]) -> dict[str, Array]:
        """The tensors that statements define, from inputs, forward values and `given`."""
        env, _ = environment(self.program, self.inputs, self.params)
        evaluator = Evaluator(env)
        for name, array in given.items():
            env.tensors[name] = array
        out = {}
        with np.errstate(all="ignore"):
            for s in statements:
                env.tensors[s.target] = np.array(evaluator.assigned(s.value, s.indices))
                out[s.target] = env.tensors[s.target]
        return out

    def forward(self) -> dict[str, Array]:
        """Every forward tensor of the normalised program, `...` flattened."""
        return self.run(self.normal.statements, {})

    def flat_cotangents(self) -> dict[str, Array]:
        """The cotangents, `...` flattened to one axis."""
        found = {}
        for name, array in self.cotangents.items():
            indices = self.program.tensors[name].indices
            if indices and indices[0].extent == "...":
                kept = array.shape[array.ndim - len(indices) + 1 :]
                array = array.reshape(-1, *kept) if array.size else array.reshape(0, *kept)
            found[f"grad_{name}"] = array
        return found
