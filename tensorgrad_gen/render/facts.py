"""Facts about a lowered op that several parts of the view need, found once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tensorgrad_gen.ir import Input
from tensorgrad_gen.lower.model import Body, LoweredOp
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import reads
from tensorgrad_gen.lower.torch_ir import TorchStatement
from tensorgrad_gen.render.liveness import Live, analyse
from tensorgrad_gen.render.names import Names
from tensorgrad_gen.render.runtime_text import definitions
from tensorgrad_gen.render.view import Group, Line, Locals

WIDTH = 96  # of a comment


@dataclass(frozen=True, slots=True)
class Block:
    """A backward block: whose cotangents it starts from, and what its body needs."""

    roots: tuple[str, ...]
    live: Live
    results: tuple[str, ...]  # inputs, in call order


@dataclass(frozen=True)
class Facts:
    """What the op has, in the order in which code names it."""

    lowered: LoweredOp
    inputs: tuple[Input, ...]
    params: tuple[str, ...]  # local names
    results: tuple[str, ...]  # outputs, auxiliaries and factors: what forward returns
    blocks: tuple[Block, ...]
    gradients: tuple[str, ...]  # inputs that have a gradient, in call order
    forward: Live
    tangent: Live | None
    sizes: tuple[TorchStatement, ...]  # those that backward or the tangent program need, or others of these
    kept_sizes: tuple[str, ...]  # those they read
    names: dict[str, str]  # what render calls `need_x`, `ctx`, ...
    runtime: str

    @property
    def op(self) -> str:
        return self.lowered.plan.program.name

    @property
    def unrounded(self) -> bool:
        """Whether the Function's outputs are in the dtype to compute in."""
        return self.lowered.plan.unrounded

    @property
    def complex(self) -> frozenset[str]:
        """Tensors with complex values."""
        return self.lowered.complex

    def promoted(self) -> str:
        """The dtype of all inputs together."""
        return f"{self.runtime}promote({', '.join(local_name(item.name) for item in self.numeric)})"

    def accumulator(self, dtype: str) -> str:
        """The dtype to compute in, where inputs have this one together: complex if a tensor is."""
        return f"{self.runtime}accumulator({f'{self.runtime}complex_dtype({dtype})' if self.complex else dtype})"

    def computed(self, tensor: str) -> str:
        """The dtype to compute in with an output: real numbers stay real beside complex ones."""
        return f"{self.runtime}real_dtype({self.acc})" if self.complex and tensor not in self.complex else self.acc

    def dtype_of(self, tensor: str, dtype: str) -> str:
        """That of an output, where inputs have this one together."""
        if not self.complex:
            return dtype
        return f"{self.runtime}{'complex' if tensor in self.complex else 'real'}_dtype({dtype})"

    @property
    def numeric(self) -> tuple[Input, ...]:
        """Inputs that decide the dtype."""
        return tuple(item for item in self.inputs if item.kind in ("real", "complex"))

    @property
    def anchor(self) -> str:
        """The input whose device is that of everything: one that is always given, if there is one."""
        given = [item.name for item in self.inputs if item.default is None]
        return local_name((given or [item.name for item in self.inputs])[0])

    @property
    def local(self) -> Locals:
        n = self.names
        return Locals(n["ctx"], n["inputs"], n["output"])

    @property
    def dtype(self) -> str:
        """The name of the dtype of the result."""
        return self.names["dtype"]

    @property
    def acc(self) -> str:
        """The name of the dtype to compute in."""
        return self.names["acc"]

    def kind(self, tensor: str) -> str:
        """Kind of an output or auxiliary."""
        for step in self.lowered.plan.forward:
            if step.target == tensor:
                return step.kind
        if tensor in self.factors:
            return "factor"
        return self.lowered.plan.program.tensors[tensor].kind

    def discrete(self, tensor: str) -> bool:
        """Whether a result has no derivative."""
        return self.kind(tensor) in ("bool", "label", "factor")

    @property
    def factors(self) -> tuple[str, ...]:
        """What forward returns of factorisations, which has no derivative."""
        return tuple(own.name for own in self.lowered.factors)

    @property
    def joint(self) -> tuple[str, ...]:
        """Roots of blocks of several: beside a cotangent that is given, one that is `None` is zeros of its shape."""
        return tuple(root for block in self.blocks if len(block.roots) > 1 for root in block.roots)

    def read(self, lives: Iterable[Live]) -> frozenset[str]:
        """Names that bodies read from outside."""
        return frozenset(name for live in lives for name in live.outside)


def gather(lowered: LoweredOp, runtime: str) -> Facts:
    """The facts of an op, bodies analysed."""
    plan, program = lowered.plan, lowered.plan.program
    blocks = tuple(
        Block(
            block.roots,
            analyse(body),
            tuple(i.name for i in program.inputs if i.name in {name for name, _ in body.results}),
        )
        for block, body in zip(plan.backward, lowered.backward, strict=True)
        if body.results
    )
    given = {name for block in blocks for name in block.results}
    gradients = tuple(item.name for item in program.inputs if item.name in given)
    tangent = analyse(lowered.tangent) if lowered.tangent is not None else None
    results = plan.outputs + tuple(a for a in plan.auxiliary if a not in plan.outputs)
    results += tuple(own.name for own in lowered.factors)
    sizes: dict[str, TorchStatement] = {}
    lives = (*(b.live for b in blocks), *((tangent,) if tangent else ()))
    for live in lives:
        sizes.update((s.target, s) for s in live.sizes)
    direct = {name for live in lives for name in live.direct}
    return Facts(
        lowered,
        program.inputs,
        tuple(local_name(p.name) for p in program.params),
        results,
        blocks,
        gradients,
        analyse(lowered.forward),
        tangent,
        tuple(sizes.values()),
        tuple(name for name in sizes if name in direct),
        _local_names(lowered, gradients),
        runtime,
    )


def _local_names(lowered: LoweredOp, gradients: tuple[str, ...]) -> dict[str, str]:
    program = lowered.plan.program
    used = {local_name(t) for t in program.tensors} | {local_name(p.name) for p in program.params}
    used |= set(lowered.plan.outputs) | set(lowered.plan.auxiliary) | {own.name for own in lowered.factors}
    used |= {own.flag for own in lowered.factors}
    used |= {f"grad_{t}" for t in program.tensors} | {f"tangent_{t}" for t in program.tensors}
    bodies: list[Body] = [lowered.forward, *lowered.backward]
    bodies += [body for body in (lowered.valued, lowered.tangent) if body is not None]
    for body in bodies:
        used |= set(body.reads)
        for statement in (*body.sizes, *body.statements):
            used |= {statement.target} | reads(statement.call)
    # Inlined, what the runtime defines has `_` before its name, as arguments that are not used have.
    used |= {f"_{name}" for definition in definitions() for name in definition.names}
    names = Names(used)
    needs = "needs"  # what names of tests begin with, and nothing else
    while any(name.startswith(needs) for name in used):
        needs += "_"
    wanted = ["ctx", "inputs", "output", "dtype", "acc", "lead", *(f"need_{g}" for g in gradients)]
    wanted += [f"more_{g}" for g in gradients]
    wanted += ["needed", "totals", *(f"total_{g}" for g in gradients)]
    wanted += [f"_{item.name}" for item in program.inputs] + [f"_{param.name}" for param in program.params]
    wanted += [f"without_{item.name}" for item in program.inputs if item.default is not None]
    return {name: names.fresh(name) for name in wanted} | {"needs": needs}


def test_of(facts: Facts, needed: frozenset[str], among: tuple[str, ...]) -> str:
    """`need_x or need_w`, empty where every one of `among` is needed."""
    if needed >= frozenset(among):
        return ""
    return " or ".join(facts.names[f"need_{name}"] for name in among if name in needed)


def comment_lines(formula: str) -> tuple[str, ...]:
    """Formulas, one a line, as lines of a comment: nothing in them ends the line."""
    import textwrap

    texts = ["".join(c if c.isprintable() else " " for c in own).strip() for own in formula.split("\n")]
    lines = [textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_long_words=False) for text in texts if text]
    return tuple(line for own in lines for line in own)


def grouped(lines: list[tuple[str, Line]]) -> tuple[Group, ...]:
    """Lines with their tests, consecutive ones with the same test together."""
    groups: list[Group] = []
    for test, line in lines:
        if groups and groups[-1].test == test:
            groups[-1] = Group(test, (*groups[-1].lines, line))
        else:
            groups.append(Group(test, (line,)))
    return tuple(groups)
