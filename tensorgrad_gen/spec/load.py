"""YAML text -> `OpSpec`: the table of a spec's keys, and how each is read."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tensorgrad_gen.errors import Report, Span, nearest, quote
from tensorgrad_gen.spec import nodes as n
from tensorgrad_gen.spec import sections
from tensorgrad_gen.spec.equations import joins_equations, one_expression, split_equations
from tensorgrad_gen.spec.files import normalised, read_text
from tensorgrad_gen.spec.model import Fragment, Located, OpSpec
from tensorgrad_gen.spec.reader import Reader

DERIVATIVES = ("vjp", "jvp", "jacobian", "hessian", "hvp")
_START = Span(1, 1, 1, 2)


def load_file(path: str | Path, report: Report | None = None) -> OpSpec:
    """The spec in a file; as `load_text`."""
    return load_text(read_text(path), str(path), report)


def load_text(text: str, path: str = "<text>", report: Report | None = None) -> OpSpec:
    """The spec that a text describes.

    Errors are added to `report`, and what could be read is returned, so that later stages can add
    theirs; without a report, and where nothing can be read, they are raised as a `SpecError`.  A
    path that ends in `.yaml` or `.yml` must have the op's name as its stem.
    """
    own = Report(path, text) if report is None else report
    clean = normalised(text, own)
    root = None if clean is None else _compose(clean, own)
    if clean is None or root is None:
        own.check()
        raise AssertionError("a spec without a root has an error")
    spec = _Loader(clean, path, own).load(root)
    if report is None:
        own.check()
    return spec


def _compose(text: str, report: Report) -> n.Mapping | None:
    composer = n.Composer(text, report)
    try:
        root = composer.compose()
    except n.StopReading:
        return None
    if composer.aliases:  # what they stand for is not known, and would be reported as missing
        return None
    if root is None or (isinstance(root, n.Scalar) and root.null):
        report.error("E108", "the file is empty", None, "a spec begins with `op: name`")
    elif not isinstance(root, n.Mapping):
        report.error("E107", "a spec is a mapping", root.span, "it begins with `op: name`")
    else:
        return root
    return None


class _Loader:
    """Reads the keys of one spec; `given` is what stands in the file."""

    def __init__(self, text: str, path: str, report: Report) -> None:
        self.text = text
        self.path = path
        self.report = report
        self.reader = Reader(text, report)
        self.given: dict[str, Any] = {}

    def load(self, root: n.Mapping) -> OpSpec:
        """The spec, as much of it as is good."""
        given: dict[str, Any] = {}
        for key, (_, value) in (self.reader.mapping(root, "a spec", KEYS) or {}).items():
            read, _ = KEYS[key]
            given[key] = read(self, value)
        misspelt = {nearest(key, KEYS) for key in root.keys if key not in KEYS}
        if not {"op"} & (given.keys() | misspelt):
            self.report.error("E108", "`op` is missing", None, "a spec begins with `op: name`")
        if not {"equations", "implicit"} & (given.keys() | misspelt):
            self.report.error("E108", "`equations` is missing", None, "write `equations: |`, and one equation a line")
        values = {field: given.get(field, default) for field, (_, default) in KEYS.items() if field != "op"}
        values = {field: KEYS[field][1] if value is None else value for field, value in values.items()}
        return OpSpec(path=self.path, text=self.text, name=given.get("op") or Located("", _START), **values)

    def op(self, node: n.Node) -> Located | None:
        name = self.reader.text(node, "`op`")
        if name is None:
            return None
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name.text):
            remedy = "small ASCII letters, digits and `_`, a letter first"
            self.report.error("E311", f"{quote(name.text)} is no name for an op", name.span, remedy)
            return None
        if keyword.iskeyword(name.text):
            self.report.error("E312", f"`{name.text}` is a Python keyword", name.span, f"write `{name.text}_op`")
            return None
        file = Path(self.path)
        if file.suffix in (".yaml", ".yml") and file.stem != name.text:
            message = f"the op is named `{name.text}`, and its file {quote(file.name)}"
            self.report.error("E118", message, name.span, f"name the file `{name.text}.yaml`")
        return name

    def doc(self, node: n.Node) -> str:
        return sections.documentation(self.reader, node)

    def equations(self, node: n.Node) -> tuple[Fragment, ...]:
        if isinstance(node, n.Sequence):
            found = [self.reader.fragment(item, "an equation") for item in node.items]
            return tuple(fragment for fragment in found if fragment is not None)
        if not isinstance(node, n.Scalar) or node.null:
            remedy = "write `equations: |`, and one equation a line"
            self.reader.wrong_kind(node, "`equations`", "text, or a list of texts", remedy)
            return ()
        block = self.reader.places.fragment(node)
        if self.reader.folded(node):
            if joins_equations(block):
                self.reader.joined(node)
                return ()
            return (one_expression(block),)
        return tuple(split_equations(block))

    def names(self, node: n.Node, what: str, example: str, options: Sequence[str] | None) -> tuple[Located, ...] | None:
        """A list of distinct names."""
        items = self.reader.items(node, f"`{what}s`", example)
        if items is None:
            return None
        found: list[Located] = []
        for item in items:
            name = (
                self.reader.name(item, f"an {what}")
                if options is None
                else self.reader.choice(item, what, options, "E114")
            )
            if name is not None and name.text in {f.text for f in found}:
                self.report.error("E104", f"{quote(name.text)} is listed twice", name.span)
            elif name is not None:
                found.append(name)
        return tuple(found)

    def outputs(self, node: n.Node) -> tuple[Located, ...] | None:
        found = self.names(node, "output", "[y]", None)
        if found == () and isinstance(node, n.Sequence) and not node.items:
            self.report.error("E107", "`outputs` is empty", node.span, "leave it out for the last tensor defined")
        return found or None

    def derivatives(self, node: n.Node) -> tuple[Located, ...] | None:
        found = self.names(node, "derivative", "[vjp, jvp]", DERIVATIVES)
        if found is None or any(d.text == "vjp" for d in found):
            return found
        return (Located("vjp", node.span), *found)

    def chunk(self, node: n.Node) -> tuple[Located, int] | None:
        entries = self.reader.mapping(node, "`chunk`", ("index", "count"))
        if entries is None:
            return None
        missing = [key for key in ("index", "count") if key not in entries]
        if missing:
            self.report.error("E108", f"`chunk` has no `{missing[0]}`", node.span, "write `{index: n, count: 8}`")
            return None
        index = self.reader.name(entries["index"][1], "`index`")
        count = self.reader.count(entries["count"][1], "`count`")
        return None if index is None or count is None else (index, count)

    def hint(self, reader: Reader, name: Located, node: n.Node) -> tuple[Located, int] | None:
        count = reader.count(node, f"the hint for {quote(name.text)}")
        return None if count is None or not reader.check_name(name, "an index") else (name, count)

    def one_of(self, node: n.Node, what: str, options: Sequence[str], code: str = "E116") -> str | None:
        located = self.reader.choice(node, what, options, code)
        return None if located is None else located.text


def _declared(what: str, read: Callable[..., Any]) -> Callable[[_Loader, n.Node], Any]:
    return lambda loader, node: sections.declarations(loader.reader, node, what, read)


def _one_of(what: str, options: Sequence[str], code: str = "E116") -> Callable[[_Loader, n.Node], str | None]:
    return lambda loader, node: loader.one_of(node, what, options, code)


# Key of a spec, and field of `OpSpec` -> (how its value is read, what it is when left out).
KEYS: dict[str, tuple[Callable[[_Loader, n.Node], Any], Any]] = {
    "op": (_Loader.op, None),
    "doc": (_Loader.doc, ""),
    "inputs": (_declared("inputs", sections.read_input), ()),
    "params": (_declared("params", sections.read_param), ()),
    "constants": (_declared("constants", sections.read_constant), ()),
    "sizes": (_declared("sizes", sections.read_size), ()),
    "functions": (_declared("functions", sections.read_function), ()),
    "equations": (_Loader.equations, ()),
    "implicit": (lambda loader, node: sections.read_implicit(loader.reader, node), None),
    "outputs": (_Loader.outputs, None),
    "derivatives": (_Loader.derivatives, (Located("vjp", _START), Located("jvp", _START))),
    "differentiable": (_one_of("order of differentiability", ("any", "once")), "any"),
    "save": (_one_of("way to save", ("auto", "inputs", "all")), "auto"),
    "chunk": (_Loader.chunk, None),
    "hints": (lambda loader, node: sections.declarations(loader.reader, node, "hints", loader.hint), ()),
    "target": (_one_of("target", ("function", "custom_op"), "E115"), "function"),
}
