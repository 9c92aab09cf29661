"""The keys of a spec that declare something: inputs, params, constants, sizes, functions, implicit."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

from tensorgrad_gen.errors import quote
from tensorgrad_gen.spec.model import (
    ConstantSpec,
    FunctionSpec,
    ImplicitSpec,
    InputSpec,
    Located,
    ParamSpec,
    SizeSpec,
)
from tensorgrad_gen.spec.nodes import Mapping, Node, Scalar, Sequence
from tensorgrad_gen.spec.reader import Reader

KINDS = ("real", "complex", "bool", "label")
PARAM_KINDS = ("real", "int")
DOMAINS = ("real", "positive", "unit", "nonzero", "simplex", "spd", "well_conditioned", "orthogonal")
STRUCTURES = ("general", "symmetric", "lower", "upper", "diagonal")
INPUT_KEYS = ("indices", "kind", "doc", "grad", "default", "domain", "labels", "structure", "upper")
IMPLICIT_KEYS = ("unknown", "equation", "free", "solver", "start", "tolerance", "iterations")

T = TypeVar("T")


def declarations(
    reader: Reader, node: Node, what: str, read: Callable[[Reader, Located, Node], T | None]
) -> tuple[T, ...]:
    """What each `name: value` of a mapping declares."""
    entries = reader.mapping(node, f"`{what}`") or {}
    found = []
    for key, value in entries.values():
        declared = read(reader, Located(key.text, key.span), value)
        if declared is not None:
            found.append(declared)
    return tuple(found)


def read_input(reader: Reader, name: Located, node: Node) -> InputSpec | None:
    """`x: [b, h]`, or a mapping with `indices`."""
    if not reader.check_name(name, "an input"):
        return None
    if not isinstance(node, Mapping):
        if isinstance(node, Scalar) and node.null:
            message = f"{quote(name.text)} has no indices"
            reader.report.error("E107", message, node.span, f"a scalar is `{name.text}: []`")
            return None
        indices = reader.indices(node, quote(name.text))
        return None if indices is None else InputSpec(name, indices)
    entries = reader.mapping(node, f"input {quote(name.text)}", INPUT_KEYS) or {}
    if "indices" not in entries:
        reader.report.error("E108", f"{quote(name.text)} has no `indices`", name.span, "a scalar has `indices: []`")
        return None
    values = {key: value for key, (_, value) in entries.items()}
    indices = reader.indices(values["indices"], "`indices`")
    return None if indices is None else _input(reader, name, indices, values)


def _input(reader: Reader, name: Located, indices: tuple[Located, ...], values: dict[str, Node]) -> InputSpec:
    kind = _word(reader, values, "kind", KINDS, "real", "E113")
    labels = reader.name(values["labels"], "`labels`") if "labels" in values else None
    if kind == "label" and "labels" not in values:
        remedy = "`labels: v` says that its values are positions along `v`"
        reader.report.error("E108", f"label {quote(name.text)} has no `labels`", name.span, remedy)
    if kind != "label" and labels is not None:
        reader.report.error("E121", f"`labels` is for labels, and {quote(name.text)} is {kind}", labels.span)
    grad = reader.boolean(values["grad"], "`grad`") if "grad" in values else None
    upper = reader.indices(values["upper"], "`upper`") if "upper" in values else None
    for index in upper or ():
        if index.text not in {i.text for i in indices}:
            message = f"{quote(index.text)} is no index of {quote(name.text)}"
            reader.report.error("E206", message, index.span)
    return InputSpec(
        name,
        indices,
        kind,
        documentation(reader, values["doc"]) if "doc" in values else "",
        kind in ("real", "complex") if grad is None else grad,
        _default(reader, values["default"]) if "default" in values else None,
        _domain(reader, values["domain"]) if "domain" in values else "real",
        labels,
        _word(reader, values, "structure", STRUCTURES, "general"),
        upper,
    )


def _word(
    reader: Reader, values: dict[str, Node], key: str, options: tuple[str, ...], default: str, code: str = "E116"
) -> str:
    located = reader.choice(values[key], key, options, code) if key in values else None
    return default if located is None else located.text


def documentation(reader: Reader, node: Node) -> str:
    """Text for people; a comment behind it on its line is text that YAML has cut."""
    located = reader.text(node, "`doc`")
    if located is None or not isinstance(node, Scalar):
        return ""
    rest = reader.places.text[node.end :].split("\n", 1)[0]
    if node.style is None and rest.lstrip().startswith("#"):
        line, column = reader.places.at(node.end + len(rest) - len(rest.lstrip()))
        span = type(node.span)(line, column, line, column + len(rest.strip()))
        reader.report.error("E109", "an unquoted ` #` cuts the text here", span, "quote the text, or move the comment")
    return located.text.strip()


def _default(reader: Reader, node: Node) -> int | None:
    number = reader.number(node, "`default`")
    if number is None or number in (0, 1):
        return None if number is None else int(number)
    reader.report.error("E116", "an input's `default` is 0 or 1", node.span)
    return None


def _domain(reader: Reader, node: Node) -> str | tuple[Fraction, Fraction]:
    if not isinstance(node, Sequence):
        located = reader.choice(node, "domain", DOMAINS, "E112")
        return "real" if located is None else located.text
    bounds = [reader.number(item, "a bound of `domain`") for item in node.items]
    if len(bounds) == 2 and bounds[0] is not None and bounds[1] is not None and bounds[0] < bounds[1]:
        return bounds[0], bounds[1]
    if None not in bounds:
        reader.report.error("E112", "an interval is `[lo, hi]`, with `lo` less than `hi`", node.span)
    return "real"


def read_param(reader: Reader, name: Located, node: Node) -> ParamSpec | None:
    """`eps: 1e-5`, `n: null`, or `{default: 2, kind: int}`."""
    if not reader.check_name(name, "a param"):
        return None
    kind, value = "real", node
    if isinstance(node, Mapping):
        entries = reader.mapping(node, f"param {quote(name.text)}", ("default", "kind")) or {}
        kind = _word(reader, {k: v for k, (_, v) in entries.items()}, "kind", PARAM_KINDS, "real", "E113")
        if "default" not in entries:
            return ParamSpec(name, None, kind)
        value = entries["default"][1]
    if isinstance(value, Scalar) and value.null and value.text:
        return ParamSpec(name, None, kind)
    if isinstance(value, Scalar) and value.null:
        message = f"{quote(name.text)} has no default"
        reader.report.error("E107", message, value.span, "`null` makes a param required")
        return None
    default = reader.number(value, quote(name.text))
    if default is not None and kind == "int" and default.denominator != 1:
        reader.report.error("E117", f"{quote(name.text)} is an integer, and its default is not", value.span)
    return None if default is None else ParamSpec(name, default, kind)


def read_constant(reader: Reader, name: Located, node: Node) -> ConstantSpec | None:
    """`k: [1, -2, 1]`, nested as deep as it has axes."""
    if not reader.check_name(name, "a constant"):
        return None
    shape: list[int] = []
    first = node
    while isinstance(first, Sequence):
        shape.append(len(first.items))
        if not first.items:
            reader.report.error("E107", f"{quote(name.text)} has an empty list", first.span)
            return None
        first = first.items[0]
    level = [node]
    for length in shape:
        for item in level:
            if not isinstance(item, Sequence) or len(item.items) != length:
                message = f"the lists of {quote(name.text)} have different lengths"
                reader.report.error("E107", message, item.span, f"each of this depth has {length}")
                return None
        level = [inner for item in level if isinstance(item, Sequence) for inner in item.items]
    values = [reader.number(item, quote(name.text)) for item in level]
    good = tuple(value for value in values if value is not None)
    return ConstantSpec(name, tuple(shape), good) if len(good) == len(values) else None


def read_size(reader: Reader, name: Located, node: Node) -> SizeSpec | None:
    """`H: h`, or `{index: i, extent: "..."}`."""
    if not reader.check_name(name, "a size"):
        return None
    if not isinstance(node, Mapping):
        index = reader.name(node, f"index of size {quote(name.text)}")
        return None if index is None else SizeSpec(name, index)
    entries = reader.mapping(node, f"size {quote(name.text)}", ("index", "extent")) or {}
    if "index" not in entries:
        message = f"size {quote(name.text)} has no `index`"
        reader.report.error("E108", message, name.span, f"write `{name.text}: {{index: i, extent: ...}}`")
        return None
    index = reader.name(entries["index"][1], "`index`")
    extent = reader.fragment(entries["extent"][1], "`extent`") if "extent" in entries else None
    return None if index is None else SizeSpec(name, index, extent)


_HEAD = re.compile(r"\s*([^\s()]+)\s*\(([^()]*)\)\s*")


def read_function(reader: Reader, name: Located, node: Node) -> FunctionSpec | None:
    """`my_gelu(z): z/2 * (1 + erf(z/sqrt(2)))`."""
    match = _HEAD.fullmatch(name.text)
    if match is None:
        remedy = "write `f(z): ...`, or `f(z, a): ...`"
        reader.report.error("E107", f"{quote(name.text)} is no function's name and arguments", name.span, remedy)
        return None
    head = Located(match[1], name.span)
    arguments = tuple(Located(text.strip(), name.span) for text in match[2].split(","))
    good = [reader.check_name(head, "a function"), *(reader.check_name(a, "an argument") for a in arguments)]
    texts = [a.text for a in arguments]
    if len(set(texts)) < len(texts):
        reader.report.error("E315", f"two arguments of {quote(head.text)} have one name", name.span)
        return None
    body = reader.fragment(node, f"the body of {quote(head.text)}")
    return FunctionSpec(head, arguments, body) if body is not None and all(good) else None


def read_implicit(reader: Reader, node: Node) -> ImplicitSpec | None:
    """An unknown, the equation it solves, and how."""
    entries = reader.mapping(node, "`implicit`", IMPLICIT_KEYS)
    if entries is None:
        return None
    values = {key: value for key, (_, value) in entries.items()}
    for key in ("unknown", "equation"):
        if key not in values:
            reader.report.error("E108", f"`implicit` has no `{key}`", node.span)
    unknown = reader.fragment(values["unknown"], "`unknown`") if "unknown" in values else None
    equation = reader.fragment(values["equation"], "`equation`") if "equation" in values else None
    tolerance = reader.number(values["tolerance"], "`tolerance`") if "tolerance" in values else None
    if tolerance is not None and tolerance <= 0:
        reader.report.error("E117", "`tolerance` is positive", values["tolerance"].span)
    found = (
        reader.indices(values["free"], "`free`") if "free" in values else None,
        reader.text(values["solver"], "`solver`") if "solver" in values else None,
        reader.fragment(values["start"], "`start`") if "start" in values else None,
        tolerance,
        reader.count(values["iterations"], "`iterations`") if "iterations" in values else None,
    )
    if unknown is None or equation is None:
        return None
    return ImplicitSpec(unknown, equation, *found, node.span)
