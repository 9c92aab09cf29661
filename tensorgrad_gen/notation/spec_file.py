"""A program as a spec file: what is printed elaborates to the same program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from fractions import Fraction

from tensorgrad_gen.ir import Constant, Index, Input, Program, Size
from tensorgrad_gen.notation.levels import show_number


def spec_lines(program: Program, equations: str, implicit: Iterable[tuple[str, str]] = ()) -> Iterator[str]:
    """The lines of the file, given its equations, and the keys of an implicit one."""
    yield f"op: {program.name}"
    yield f"doc: {json.dumps(program.doc, ensure_ascii=False)}"
    yield from section("inputs", [(i.name, input_text(i)) for i in program.inputs])
    yield from section("params", [(p.name, param_text(p.default, p.kind)) for p in program.params])
    yield from section("constants", [(c.name, constant_text(c)) for c in program.constants])
    yield from section("sizes", size_items(program))
    if equations:
        yield "equations: |"
        yield from (f"  {line}" for line in equations.split("\n"))
    yield from section("implicit", list(implicit))
    yield f"outputs: [{', '.join(program.outputs)}]"
    yield f"derivatives: [{', '.join(program.derivatives)}]"
    yield f"differentiable: {program.differentiable}"
    # An op with a chunk keeps inputs; said, it keeps nothing else, not even gradients.
    lean = program.chunk is None or program.chunk.lean
    yield f"save: {program.save if lean else 'auto'}"
    yield from section("hints", [(symbol, str(extent)) for symbol, extent in program.hints])
    yield f"target: {program.target}"
    if program.chunk is not None:
        yield f"chunk: {{index: {program.chunk.index.name}, count: {program.chunk.count}}}"


def section(key: str, items: list[tuple[str, str]]) -> Iterator[str]:
    """A mapping, left out if it is empty."""
    if items:
        yield f"{key}:"
        yield from (f"  {name}: {text}" for name, text in items)


def letters(indices: tuple[Index, ...]) -> str:
    """Indices as a YAML list."""
    return f"[{', '.join(i.name for i in indices)}]"


def input_text(item: Input) -> str:
    """The indices alone, or a mapping of all that is not as usual."""
    domain = item.domain if isinstance(item.domain, str) else f"[{', '.join(map(number_text, item.domain))}]"
    facts = {
        "indices": letters(item.indices),
        "kind": item.kind if item.kind != "real" else "",
        "labels": "" if item.labels is None else str(item.labels),
        "doc": json.dumps(item.doc, ensure_ascii=False) if item.doc else "",
        "grad": "false" if not item.grad and item.kind in ("real", "complex") else "",
        "default": "" if item.default is None else str(item.default),
        "domain": domain if domain != "real" else "",
        "structure": item.structure if item.structure != "general" else "",
        "upper": "" if item.upper is None else f"[{', '.join(item.upper)}]",
    }
    shown = [f"{key}: {text}" for key, text in facts.items() if text]
    return facts["indices"] if len(shown) == 1 else f"{{{', '.join(shown)}}}"


def number_text(value: Fraction) -> str:
    """A number that reads back exactly."""
    return show_number(value).text


def param_text(default: Fraction | None, kind: str) -> str:
    """The default alone, or with the kind."""
    text = "null" if default is None else number_text(default)
    return text if kind == "real" else f"{{default: {text}, kind: {kind}}}"


def constant_text(constant: Constant) -> str:
    """Nested lists, row by row."""

    def rows(shape: list[int], values: list[str]) -> str:
        if not shape:
            return values[0]
        step = len(values) // shape[0]
        parts = [rows(shape[1:], values[k * step : (k + 1) * step]) for k in range(shape[0])]
        return f"[{', '.join(parts)}]"

    return rows([int(i.extent) for i in constant.indices], [number_text(v) for v in constant.values])


def size_items(program: Program) -> list[tuple[str, str]]:
    """The user's size names; the first name of an extent that the spec gives carries its definition."""
    given = dict(program.size_defs)
    names = dict(reversed([(symbol, name) for name, symbol in program.size_names]))
    out: list[tuple[str, str]] = []
    for name, symbol in program.size_names:
        size = given.pop(symbol, None)
        text = None if size is None else size_text(size, names, 0)
        out.append((name, symbol if text is None else f'{{index: {symbol}, extent: "{text}"}}'))
    return out


LEVELS = {"+": 0, "-": 0, "*": 1, "//": 1}


def size_text(size: Size, names: dict[str, str], level: int) -> str:
    """The arithmetic of an extent; `level` is how tightly it must bind."""
    if size.op in ("int", "param"):
        return str(size.args[0])
    if size.op == "size":
        return names.get(size.args[0], f"size({size.args[0]})")
    if size.op == "ceil":
        return f"ceil({size_text(size.args[0], names, 1)}/{size_text(size.args[1], names, 2)})"
    if size.op == "min":
        return f"min({', '.join(size_text(arg, names, 0) for arg in size.args)})"
    if len(size.args) == 1:
        return f"(-{size_text(size.args[0], names, 2)})"
    own = LEVELS[size.op]
    text = f"{size_text(size.args[0], names, own)} {size.op} {size_text(size.args[1], names, own + 1)}"
    return text if own >= level else f"({text})"
