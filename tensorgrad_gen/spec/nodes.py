"""A spec file as YAML nodes: every scalar is text with its place; nothing is constructed from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tensorgrad_gen.errors import Report, Span, quote
from tensorgrad_gen.spec.files import REFUSED
from tensorgrad_gen.spec.yaml_errors import report_yaml_error

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 32
_COLON = re.compile(r"\s*:")
# How the YAML reader fails on odd text, such as the escape of a code point that does not exist.
_READER_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
MOST_NODES = 100_000


@dataclass(frozen=True, slots=True)
class Scalar:
    """`style` is None for plain text, or one of `' " | >`; `start` and `end` are offsets in the file."""

    text: str
    style: str | None
    span: Span
    start: int
    end: int

    @property
    def null(self) -> bool:
        """Whether it is YAML's null: nothing, `~` or `null`, unquoted."""
        return self.style is None and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(slots=True)
class Sequence:
    items: list[Node]
    span: Span


@dataclass(slots=True)
class Mapping:
    entries: list[tuple[Scalar, Node]]
    span: Span
    flow: bool
    keys: dict[str, Span] = field(default_factory=dict)


Node: TypeAlias = "Scalar | Sequence | Mapping"


class StopReading(Exception):  # noqa: N818 - it ends the reading; the report says what was wrong
    """The YAML cannot be read further."""


@dataclass(slots=True)
class _Open:
    """A collection that is being read; `key` is the key whose value comes next."""

    node: Sequence | Mapping
    key: Scalar | None = None


class Composer:
    """Events -> nodes, on a stack of its own, so that no nesting exhausts Python's."""

    def __init__(self, text: str, report: Report) -> None:
        self.text = text
        self.report = report
        self.stack: list[_Open] = []
        self.root: Node | None = None
        self.count = 0
        self.aliases = False
        self.cut_key: Scalar | None = None  # a key that a comma has cut within its brackets: the next is its rest
        self.last = (0, 0, 0)  # where the last event ended: line, column, offset

    def compose(self) -> Node | None:
        """The root, or None where there is none."""
        documents = 0
        for event in self._events():
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    self._stop("E119", "a second document begins here", self._span(event), "one file describes one op")
                if event.version is not None or event.tags:
                    self._stop("E106", "directives (`%`) are not part of a spec", Span(1, 1, 1, 2))
            elif kind in ("SequenceEndEvent", "MappingEndEvent"):
                self._close(event)
            elif kind in ("ScalarEvent", "SequenceStartEvent", "MappingStartEvent", "AliasEvent"):
                self._node(kind, event)
            mark = event.end_mark
            self.last = (mark.line, mark.column, mark.index)
        return self.root

    def _events(self) -> Iterator[Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            yield from YAML(typ="safe", pure=True).parse(self.text)
        except MarkedYAMLError as error:
            report_yaml_error(error, self.text, self.report, [type(o.node).__name__ for o in self.stack])
            raise StopReading from None
        except (YAMLError, *_READER_FAULTS) as error:
            span = Span(self.last[0] + 1, 1, self.last[0] + 1, 2)
            self._stop("E102", f"not valid YAML: {quote(str(error), 100)}", span)

    def _node(self, kind: str, event: Any) -> None:
        self.count += 1
        if self.report.flooded:
            raise StopReading
        if self.count > MOST_NODES:
            self._stop("E605", f"the file has more than {MOST_NODES:,} values", self._span(event))
        self._refuse_anchors_and_tags(kind, event)
        if kind == "ScalarEvent":
            self._add(self._scalar(event))
        elif kind == "AliasEvent":
            self._add(self._scalar(event, ""))
        else:
            if len(self.stack) >= DEEPEST:
                self._stop("E604", f"values nest deeper than {DEEPEST}", self._span(event))
            span = self._span(event)
            node: Sequence | Mapping = (
                Sequence([], span) if kind == "SequenceStartEvent" else Mapping([], span, bool(event.flow_style))
            )
            self.stack.append(_Open(node))

    def _refuse_anchors_and_tags(self, kind: str, event: Any) -> None:
        if kind != "AliasEvent" and event.anchor is None and event.tag is None:
            return
        mark = event.start_mark
        shown = (self.text[mark.index : mark.index + 100].split(maxsplit=1) or [""])[0]
        span = Span(mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 1 + max(1, len(shown)))
        if kind == "AliasEvent":
            self.aliases = True
            remedy = "write the value out; quote text that begins with `*`"
            self.report.error("E105", f"{quote(shown)} is an alias", span, remedy)
        elif event.anchor is not None:
            remedy = "write the value where it is used; quote text that begins with `&`"
            self.report.error("E105", f"{quote(shown)} is an anchor", span, remedy)
        else:
            remedy = "kinds are stated by keys of the language; quote text that begins with `!`"
            self.report.error("E106", f"{quote(shown)} is a tag", span, remedy)

    def _scalar(self, event: Any, text: str | None = None) -> Scalar:
        value: str = event.value if text is None else text
        start, end = event.start_mark.index, event.end_mark.index
        refused = REFUSED.search(value)
        if refused is not None:  # by an escape: of what stands in the file itself, nothing is refused any more
            message = f"an escape makes U+{ord(refused[0]):04X}, which is no character of a spec"
            self.report.error("E122", message, self._span(event), "remove it")
            value = ""
        if start == end:  # nothing is written: the place is where it could have been
            line, column, start = self.last
            return Scalar(value, None, Span(line + 1, column + 1, line + 1, column + 2), start, start)
        return Scalar(value, getattr(event, "style", None), self._span(event), start, end)

    def _add(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if isinstance(top.node, Sequence):
            top.node.items.append(node)
        elif top.key is not None:
            self._entry(top.node, top.key, node)
            top.key = None
        elif isinstance(node, Scalar):
            top.key = node
        else:
            self._stop("E107", "a key is a name, no list or mapping", node.span)

    def _entry(self, mapping: Mapping, key: Scalar, value: Node) -> None:
        absent = isinstance(value, Scalar) and value.null and value.start == value.end
        if absent and mapping.flow and not _COLON.match(self.text, key.end):
            self._comma(mapping, key)
            return
        if self.cut_key is not None and ")" in key.text:
            self.cut_key = None
            return
        if key.text in mapping.keys:
            first = mapping.keys[key.text]
            message = f"{quote(key.text)} is already a key of this mapping, in line {first.line}"
            self.report.error("E104", message, key.span, "remove one of them")
            return
        mapping.keys[key.text] = key.span
        if absent:
            value = Scalar("", None, key.span, key.end, key.end)
        mapping.entries.append((key, value))

    def _comma(self, mapping: Mapping, key: Scalar) -> None:
        if "(" in key.text:
            self.cut_key = key
            remedy = "outside braces, on a line of its own, a key may have a comma"
            self.report.error("E110", f"the comma cuts the key {quote(key.text)}", key.span, remedy)
            return
        remedy = "give it a value with `: `"
        last_key, last = mapping.entries[-1] if mapping.entries else (key, None)
        if isinstance(last, Scalar):
            remedy = f'quote text that has a comma: `{last_key.text[:40]}: "{last.text[:60]}, {key.text[:60]}"`'
        message = f"the comma makes {quote(key.text)} a key of its own, without a value"
        self.report.error("E110", message, key.span, remedy)

    def _close(self, event: Any) -> None:
        node = self.stack.pop().node
        if self.text[event.end_mark.index - 1 : event.end_mark.index] in ("]", "}"):
            end = event.end_mark
            node.span = Span(node.span.line, node.span.column, end.line + 1, end.column + 1)
        self._add(node)

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        if (end.line, end.column) == (start.line, start.column):
            return Span(start.line + 1, start.column + 1, start.line + 1, start.column + 2)
        return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def _stop(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.report.error(code, message, span, help)
        raise StopReading
