"""Calls that return several tensors: each gets a name where it is made.

Law: the lines compute the same under the same tests; no name is given a second value while the first is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tensorgrad_gen.lower.printer import reads, walk
from tensorgrad_gen.lower.rename import rebuilt
from tensorgrad_gen.lower.torch_ir import Attr, Call, Item, Lit, Method, TExpr, Var
from tensorgrad_gen.render.liveness import Guarded

# What functions of the runtime return, in words of the field.
RETURNED: Mapping[str, tuple[str, ...]] = {
    "_runtime.attention_gradients": ("grad_query", "grad_key", "grad_value"),
    "_runtime.eigvalsh": ("eigenvalues", "eigenvectors"),
    "_runtime.layer_norm": ("normalized", "mean", "deviation"),
    "_runtime.layer_norm_gradients": ("grad_input", "grad_weight", "grad_bias"),
    "_runtime.logdet_and_factor": ("logdet", "lu", "pivots"),
    "_runtime.lu_factor": ("lu", "pivots"),
    "_runtime.singular_vectors": ("left_vectors", "right_vectors"),
    "_runtime.solve_and_factor": ("solution", "lu", "pivots"),
    "_runtime.svd": ("left_vectors", "singular_values", "right_vectors"),
    "_runtime.svdvals": ("left_vectors", "singular_values", "right_vectors"),
}


def unpack_several(
    lines: Sequence[Guarded], results: Mapping[str, str], taken: frozenset[str], tested: bool
) -> tuple[Guarded, ...]:
    """The lines of a body, what a call returns under names instead of numbers.

    `taken` are names from outside; `tested`: a line may stand under the test that a gradient is needed.
    """
    found = list(lines) if tested else [replace(line, needed=frozenset()) for line in lines]
    for made in lines:
        if isinstance(made.value, Call) and made.value.function in RETURNED and made.target is not None:
            place = next((k for k, line in enumerate(found) if line.target == made.target), None)
            found = found if place is None else _unpacked(found, place, results, taken)
    return tuple(found)


def _unpacked(lines: list[Guarded], place: int, results: Mapping[str, str], taken: frozenset[str]) -> list[Guarded]:
    made = lines[place]
    assert isinstance(made.value, Call)
    assert made.target is not None
    several = Var(made.target)
    hints = RETURNED[made.value.function]
    used = {number for line in lines for number in _numbers(line.value, several)}
    if None in used or not used:
        return lines
    names: list[str] = []
    for number, hint in enumerate(hints):
        if number not in used:
            names.append("_")
            continue
        own = _own_name(lines, place, Item(several, Lit(number)), results)
        if own is None and not all(
            line.needed == made.needed for line in lines if number in _numbers(line.value, several)
        ):
            return lines  # it is made where its name may not be
        assigned = {_target(line, results) for line in lines} | {name for line in lines for name in reads(line.value)}
        names.append(own or _free(hint, taken | set(names) | {name for name in assigned if name}))
    if len({name for name in names if name != "_"}) < len(used):
        return lines
    parts: dict[TExpr, TExpr] = {Item(several, Lit(number)): Var(name) for number, name in enumerate(names)}
    renamed = [replace(line, value=_replaced(line.value, parts)) for line in lines]
    moved = [line for line in renamed if isinstance(line.value, Var) and line.value.name == _target(line, results)]
    moved = [line for line, old in zip(renamed, lines, strict=True) if line in moved and line.value != old.value]
    formulas = "\n".join(line.formula for line in (made, *moved) if line.formula)
    renamed[place] = replace(renamed[place], target=", ".join(names), formula=formulas)
    return [line for line in renamed if line not in moved]


def _own_name(lines: list[Guarded], place: int, item: Item, results: Mapping[str, str]) -> str | None:
    """The name of what is that part, or that part in another layout, if it is free from the call on."""
    readers = [k for k, line in enumerate(lines) if item in walk(line.value)]
    exact = [k for k in readers if lines[k].value == item]
    alone = [k for k in readers if _turned(lines[k].value) == item and lines[k].needed == lines[place].needed]
    alone = alone if len(readers) == 1 else []
    for reader in exact or alone:
        name = _target(lines[reader], results)
        between = lines[place + 1 : reader]
        if name and not any(name in reads(line.value) or _target(line, results) == name for line in between):
            others = {name} & reads(lines[reader].value)
            if not others and name not in reads(lines[place].value):
                return name
    return None


def _turned(expr: TExpr) -> TExpr:
    """What the expression is another layout of."""
    while isinstance(expr, Attr | Method):
        expr = expr.receiver
    return expr


def _target(line: Guarded, results: Mapping[str, str]) -> str | None:
    return line.target if line.target is not None else results.get(line.result)


def _numbers(expr: TExpr, several: Var) -> set[int | None]:
    """Which parts of what a call returned this reads; None: all of it."""
    match expr:
        case Item(receiver, Lit(int(number))) if receiver == several:
            return {number}
        case Var() if expr == several:
            return {None}
    found: set[int | None] = set()

    def visit(part: TExpr) -> TExpr:
        found.update(_numbers(part, several))
        return part

    rebuilt(expr, visit)
    return found


def _replaced(expr: TExpr, parts: Mapping[TExpr, TExpr]) -> TExpr:
    return parts[expr] if expr in parts else rebuilt(expr, lambda part: _replaced(part, parts))


def _free(hint: str, taken: frozenset[str]) -> str:
    name, number = hint, 2
    while name in taken:
        name, number = f"{hint}_{number}", number + 1
    return name
