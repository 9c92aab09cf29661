"""`bij,bjk->bik`: the formulas of `torch.einsum` and `numpy.einsum`.

Law: the equation's value is that of `torch.einsum` on operands whose axes of one letter have one length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tensorgrad_gen.errors import quote
from tensorgrad_gen.importing.draft import Draft, operand
from tensorgrad_gen.importing.naming import allowed, fresh, is_name
from tensorgrad_gen.importing.source import Node, Source, Traced, joined, said

DOTS = "..."
MOST_OPERANDS = 50


@dataclass(frozen=True, slots=True)
class Term:
    """The subscripts of an operand or of the output: each a letter or `...`, with its place."""

    start: int
    end: int
    subs: tuple[tuple[str, int], ...]

    @property
    def letters(self) -> list[str]:
        return [letter for letter, _ in self.subs]

    @property
    def node(self) -> Node:
        return Node("operand", self.start, self.end)


def read(source: Source, names: Sequence[str] = ()) -> Draft:
    """What the formula says; `names` are those of the operands."""
    operands, output = _parsed(source)
    if len(operands) > MOST_OPERANDS:
        last = operands[MOST_OPERANDS]
        raise source.fault("E609", f"an einsum has at most {MOST_OPERANDS} operands", last.start, last.end)
    found = Counter(letter for term in operands for letter in term.letters)
    if output is None:
        implied = [DOTS] if DOTS in found else []
        implied += sorted(letter for letter, count in found.items() if count == 1 and letter != DOTS)
        output = Term(0, len(source.text), tuple((letter, 0) for letter in implied))
    _check_output(source, operands, output)
    called = _names(source, operands, names, found)
    equation = _Equation(source, operands, output, called, found)
    inputs = tuple(operand(name, term.letters) for name, term in zip(called, operands))
    target = equation.target()
    return Draft(inputs, (equation.sides(target),), (target,))


def _parsed(source: Source) -> tuple[list[Term], Term | None]:
    """The operands, and the output if the formula states it."""
    text = source.text
    arrow = text.find("->")
    if (again := text.find("->", arrow + 1)) >= 0 and arrow >= 0:
        raise source.fault("E701", "a second `->`", again, again + 2, "a formula has one output")
    operands, start = [], 0
    end = len(text) if arrow < 0 else arrow
    for part in text[:end].split(","):
        operands.append(_term(source, start, start + len(part)))
        start += len(part) + 1
    return operands, None if arrow < 0 else _term(source, arrow + 2, len(text))


def _term(source: Source, start: int, end: int) -> Term:
    text = source.text
    subs: list[tuple[str, int]] = []
    at = start
    while at < end:
        character = text[at]
        if text.startswith(DOTS, at) and at + 3 <= end:
            if any(letter == DOTS for letter, _ in subs):
                raise source.fault("E209", "`...` stands twice in one operand", at, at + 3)
            if subs:
                remedy = "move its axes to the front, with `movedim`, and write it first: `...i`"
                raise source.fault("E901", "`...` behind an index is not built yet", at, at + 3, remedy)
            subs.append((DOTS, at))
            at += 3
            continue
        if character.isascii() and character.isalpha():
            subs.append((character, at))
        elif not character.isspace():
            remedy = "a formula is like `bij,bjk->bik`: letters, `,`, `->` and `...`"
            raise source.fault("E701", f"{quote(character)} is no letter of an einsum", at, at + 1, remedy)
        at += 1
    return Term(start, end, tuple(subs))


def _check_output(source: Source, operands: Sequence[Term], output: Term) -> None:
    known = {letter for term in operands for letter in term.letters}
    seen: set[str] = set()
    for letter, at in output.subs:
        end = at + len(letter)
        if letter in seen:
            remedy = "each index of the output is there once; a diagonal is read, as in `ii->i`, not made"
            raise source.fault("E202", f"index `{letter}` stands twice in the output", at, end, remedy)
        if letter not in known:
            remedy = f"remove it, or add an operand that has it: `,{letter}->`"
            raise source.fault("E205", f"index `{letter}` of the output is in no operand", at, end, remedy)
        seen.add(letter)


def _names(source: Source, operands: Sequence[Term], names: Sequence[str], found: Counter[str]) -> list[str]:
    """Those given, or `x`, or `x1`, `x2`, ..."""
    given = Source("--names", ",".join(names))
    if not names:
        plain = "operand" if "x" in found else "x"
        return [plain] if len(operands) == 1 else [f"x{k}" for k in range(1, len(operands) + 1)]
    start = 0
    for k, name in enumerate(names):
        end = start + len(name)
        if not is_name(name):
            better = allowed(name)
            remedy = f"write `{better}`" if is_name(better) else "a name is like `x` or `weight`"
            raise given.fault("E310", f"{quote(name)} cannot name an operand", start, end, remedy)
        if name in names[:k]:
            raise given.fault("E315", f"two operands are named `{name}`", start, end)
        if name in found and not operands[min(k, len(operands) - 1)].subs:
            raise given.fault("E212", f"`{name}` is an index of the formula, and this operand a number", start, end)
        start = end + 1
    if len(names) != len(operands):
        message = f"{len(names)} names for {len(operands)} operands"
        raise given.fault("E313", message, 0, len(given.text), f"the formula is {quote(source.text)}")
    return list(names)


@dataclass(slots=True)
class _Equation:
    """The one equation: what it sums, and how that is written so that nothing else could be meant."""

    source: Source
    operands: Sequence[Term]
    output: Term
    names: Sequence[str]
    found: Counter[str]
    deltas: list[Traced] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)  # letters of deltas

    def target(self) -> str:
        """A name for the result that nothing has."""
        taken = {*self.names, *self.found}
        return next(name for name in ("y", "z", "out", "result", "the_result") if name not in taken)

    def sides(self, target: str) -> tuple[Traced, Traced]:
        left = [letter for letter, _ in self.output.subs]
        whole = Node("formula", 0, len(self.source.text))
        factors = [self.factor(name, term) for name, term in zip(self.names, self.operands)]
        right = joined("*", [*factors, *self.deltas], whole)
        summed = [letter for letter in self.found if letter not in left]
        if any(self.found[letter] == 1 or letter == DOTS for letter in summed):
            # What occurs once is not summed unasked; then all sums are asked for, and nothing is left to a rule.
            right = (*said(f"sum[{','.join(summed + self.extra)}](", whole), *right, *said(")", whole))
        subs = f"[{','.join(left)}]" if left else ""
        return said(target + subs, self.output.node), right

    def factor(self, name: str, term: Term) -> Traced:
        """An operand; a free index it has twice becomes two, equal by a delta, since twice would look summed."""
        kept = {letter for letter, _ in self.output.subs}
        subs: list[str] = []
        for letter in term.letters:
            if letter in subs and letter in kept:
                other = fresh({*self.found, *self.extra, *self.names})
                self.extra.append(other)
                self.deltas.append(said(f"delta[{letter},{other}]", term.node))
                subs.append(other)
            else:
                subs.append(letter)
        return said(f"{name}[{','.join(subs)}]" if subs else name, term.node)
