"""Sizes: extents that the spec gives, as integer arithmetic."""

from __future__ import annotations

from tensorgrad_gen.elaborate import walk
from tensorgrad_gen.elaborate.extents import ELLIPSIS
from tensorgrad_gen.elaborate.names import Names
from tensorgrad_gen.elaborate.poly import renamed, same
from tensorgrad_gen.errors import suggest
from tensorgrad_gen.ir import Size
from tensorgrad_gen.spec.model import SizeSpec
from tensorgrad_gen.syntax import parse_expression
from tensorgrad_gen.syntax import tree as t


def symbol_of(letter: str, names: Names) -> str:
    """The symbol of a letter's class, also of one whose extent is an integer: its first letter that has a source."""
    extent = names.extents.extent(letter)
    if isinstance(extent, str):
        return extent
    return next((s for s in names.extents.sources if extent is not None and names.extents.extent(s) == extent), letter)


def definitions(names: Names) -> tuple[tuple[str, Size], ...]:
    """The extents that the spec gives, each after those it uses: by `sizes`, by windows, and by integers."""
    found: dict[str, Size] = {}
    for letter in names.extents.sources:
        extent = names.extents.extent(letter)
        if isinstance(extent, int):
            found.setdefault(symbol_of(letter, names), Size("int", (extent,)))
    uses: dict[str, set[str]] = {}
    for size in names.sizes.values():
        if size.extent is None:
            continue
        symbol = symbol_of(size.index.text, names)
        tree = parse_expression(size.extent, names.report, floor_division=True)
        if tree is None:
            continue
        used: set[str] = set()
        value = _size(tree, names, used)
        if value == Size("size", (symbol,)):
            continue  # it is what an axis of that extent says already
        if symbol in found:
            if value is not None and not same(value, found[symbol]):
                letter = size.index.text
                said, remedy = _through_an_axis(letter, symbol, names)
                message = f"the extent of `{letter}` is given twice{_other(size, symbol, names)}{said}"
                names.report.error("E405", message, size.name.span, remedy)
            continue
        uses[symbol] = used
        if value is not None:
            found[symbol] = value
    for letter, poly in names.ranges.items():
        value = renamed(poly.size(), names.extents.extent)
        if symbol_of(letter, names) in symbols_in(value):
            _number_of_singular_values(letter, symbol_of(letter, names), names)
            continue
        found.setdefault(symbol_of(letter, names), value)
        uses.setdefault(symbol_of(letter, names), symbols_in(value))
    return _in_order(found, uses) if _check_circles(uses, names) else tuple(found.items())


def _other(size: SizeSpec, symbol: str, names: Names) -> str:
    """What else gives the extent: another size, or what an axis says."""
    extent = names.extents.extent(size.index.text)
    if isinstance(extent, int):
        source = names.given_by(extent)
        return f": here, and as {extent}{', ' if source else ''}{source}"
    given = [other for other in names.sizes.values() if other is not size and other.extent is not None]
    for other in given:
        if symbol_of(other.index.text, names) == symbol:
            return f": here, and by `{other.name.text}` in line {other.name.span.line}"
    return ""


def _through_an_axis(letter: str, symbol: str, names: Names) -> tuple[str, str]:
    """The axis that a letter of this extent, this one first, is said to be along; and how to read a part of it."""
    letters = [letter, *(size.index.text for size in names.sizes.values())]
    for one in letters:
        said, remedy = names.part_of_axis(one)
        if said and symbol_of(one, names) == symbol:
            return f"; {said}", remedy
    return "", ""


def _number_of_singular_values(letter: str, symbol: str, names: Names) -> None:
    """An axis of a matrix may be the longer one: its letter is not that of the singular values."""
    matrix = next(name for name, own in names.smaller.items() if own == letter)
    message = f"`{symbol}` is an axis of `{matrix}`, which has as many singular values as its smaller axis is long"
    remedy = f"use another letter for them, in `svdvals({matrix})[...]` and in what has its values"
    names.report.error("E405", message, names.tensors[matrix].span, remedy)


def symbols_in(size: Size) -> set[str]:
    """The extents that a size uses."""
    if size.op == "size":
        return {size.args[0]}
    return set() if size.op in ("int", "param") else set().union(*(symbols_in(arg) for arg in size.args))


def _in_order(found: dict[str, Size], uses: dict[str, set[str]]) -> tuple[tuple[str, Size], ...]:
    done: dict[str, Size] = {}
    while len(done) < len(found):
        for symbol, size in found.items():
            if symbol not in done and all(used in done or used not in found for used in uses.get(symbol, ())):
                done[symbol] = size
    return tuple(done.items())


def _check_circles(uses: dict[str, set[str]], names: Names) -> bool:
    """Whether no extent depends on itself."""
    for size in (size for size in names.sizes.values() if size.extent is not None):
        symbol = symbol_of(size.index.text, names)
        seen: set[str] = set()
        stack = [symbol]
        while stack:
            for used in sorted(uses.get(stack.pop(), ())):
                if used == symbol:
                    said, remedy = _through_an_axis(size.index.text, symbol, names)
                    message = f"the extent of `{size.index.text}` depends on itself{said}"
                    names.report.error("E317", message, size.name.span, remedy)
                    return False
                if used not in seen:
                    seen.add(used)
                    stack.append(used)
    return True


def _size(tree: t.Tree, names: Names, uses: set[str]) -> Size | None:
    tree = walk.strip(tree)
    if isinstance(tree, t.Number):
        if tree.value.denominator == 1:
            return Size("int", (int(tree.value),))
        names.report.error("E405", "an extent is an integer", tree.span, "use `//` to divide")
        return None
    if isinstance(tree, t.Name):
        return _named(tree, names, uses)
    if isinstance(tree, t.Unary) and tree.op == "-":
        operand = _size(tree.operand, names, uses)
        return None if operand is None else Size("-", (operand,))
    if isinstance(tree, t.Call) and tree.name in ("ceil", "size", "min"):
        return _call(tree, names, uses)
    if isinstance(tree, t.Binary) and tree.op in ("+", "-", "*", "//"):
        left, right = _size(tree.left, names, uses), _size(tree.right, names, uses)
        return None if left is None or right is None else Size(tree.op, (left, right))
    remedy = "an extent is made of integers, sizes, int params, `+ - * //`, `ceil(a/b)` and `min(a, b)`"
    names.report.error("E405", "this cannot be part of an extent", tree.span, remedy)
    return None


def _call(tree: t.Call, names: Names, uses: set[str]) -> Size | None:
    arg = walk.strip(tree.args[0])
    if tree.name == "min" and len(tree.args) == 2:
        left, right = (_size(a, names, uses) for a in tree.args)
        return None if left is None or right is None else Size("min", (left, right))
    if len(tree.args) > 1:
        names.report.error("E313", f"`{tree.name}` takes {'two' if tree.name == 'min' else 'one'} here", tree.span)
        return None
    if tree.name == "ceil" and isinstance(arg, t.Binary) and arg.op == "/":
        left, right = _size(arg.left, names, uses), _size(arg.right, names, uses)
        return None if left is None or right is None else Size("ceil", (left, right))
    if tree.name == "size" and isinstance(arg, t.Name) and arg.name in names.letters:
        return _extent(arg.name, names, uses)
    names.report.error("E405", "`ceil` takes a quotient `a/b`, `size` an index, `min` two sizes", tree.span)
    return None


def _named(tree: t.Name, names: Names, uses: set[str]) -> Size | None:
    name = tree.name
    if name in names.sizes:
        return _extent(names.sizes[name].index.text, names, uses)
    if name in names.params:
        names.used.add(name)
        if names.params[name].kind == "int":
            return Size("param", (name,))
        remedy = f"write `{name}: {{default: ..., kind: int}}` under `params`"
        names.report.error("E405", f"`{name}` is a real param, and an extent needs an integer", tree.span, remedy)
        return None
    known = (*names.sizes, *names.params)
    names.report.error("E303", f"unknown size `{name}`", tree.span, suggest(name, known, "sizes and params"))
    return None


def _extent(letter: str, names: Names, uses: set[str]) -> Size:
    extent = names.extents.extent(letter)
    if isinstance(extent, int):
        return Size("int", (extent,))
    uses.add(symbol_of(letter, names))
    return Size("size", (symbol_of(letter, names),))


def axes(inputs: dict[str, tuple[str, ...]], names: Names) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    """Where each extent is read: (input, axis counted from the end); of `...`, (input, number of trailing axes)."""
    found: dict[str, list[tuple[str, int]]] = {}
    for name, letters in inputs.items():
        for position, letter in enumerate(letters):
            if letter == ELLIPSIS:
                found.setdefault(ELLIPSIS, []).append((name, len(letters) - 1))
            else:
                found.setdefault(symbol_of(letter, names), []).append((name, position - len(letters)))
    return tuple((symbol, tuple(places)) for symbol, places in found.items())
