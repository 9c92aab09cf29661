"""Typed values out of YAML nodes; what is of the wrong kind is reported where it stands."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from fractions import Fraction

from tensorgrad_gen.errors import Report, Span, quote, suggest
from tensorgrad_gen.spec.equations import joins_equations, one_expression
from tensorgrad_gen.spec.model import Fragment, Located
from tensorgrad_gen.spec.nodes import Mapping, Node, Scalar, Sequence
from tensorgrad_gen.spec.numbers import BadNumberError, parse_number
from tensorgrad_gen.spec.places import Places

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Reader:
    """Reads values of one file; every method returns None after an error."""

    def __init__(self, text: str, report: Report) -> None:
        self.report = report
        self.places = Places(text)

    def mapping(
        self, node: Node, what: str, keys: Iterable[str] | None = None
    ) -> dict[str, tuple[Scalar, Node]] | None:
        """Key -> (key's scalar, value); with `keys`, each must be one of them."""
        if not isinstance(node, Mapping):
            self.wrong_kind(node, what, "a mapping, `name: value`")
            return None
        known = None if keys is None else tuple(keys)
        found: dict[str, tuple[Scalar, Node]] = {}
        for key, value in node.entries:
            if self.report.flooded:
                break
            if known is not None and key.text not in known:
                remedy = suggest(key.text, known, "its keys")
                self.report.error("E103", f"{what} has no key {quote(key.text)}", key.span, remedy)
            else:
                found[key.text] = (key, value)
        return found

    def items(self, node: Node, what: str, example: str) -> list[Node] | None:
        """The items of a list."""
        if isinstance(node, Sequence):
            return node.items
        remedy = f"write `{example}`"
        if isinstance(node, Scalar) and not node.null:
            words = [word for word in re.split(r"[\s,]+", node.text) if word]
            if all(_IDENTIFIER.fullmatch(word) or word == "..." for word in words):
                remedy = f"write `[{', '.join(words)}]`"
        self.wrong_kind(node, what, "a list", remedy)
        return None

    def text(self, node: Node, what: str) -> Located | None:
        """A scalar's text."""
        if not isinstance(node, Scalar) or node.null:
            self.wrong_kind(node, what, "text")
            return None
        return Located(node.text, node.span)

    def name(self, node: Node, what: str) -> Located | None:
        """An ASCII identifier that is no Python keyword."""
        located = self.text(node, what)
        return located if located is not None and self.check_name(located, what) else None

    def check_name(self, name: Located, what: str) -> bool:
        """Whether a name is one: an error if not."""
        if not _IDENTIFIER.fullmatch(name.text):
            if not name.text.isascii():
                self.report.error("E311", f"names are ASCII, and {quote(name.text)} is not", name.span)
            else:
                remedy = "a name is letters, digits and `_`, and begins with no digit"
                self.report.error("E311", f"{quote(name.text)} is no name for {what}", name.span, remedy)
            return False
        if keyword.iskeyword(name.text) and name.text not in ("and", "or", "not"):
            self.report.error("E312", f"`{name.text}` is a Python keyword", name.span, f"write `{name.text}_`")
            return False
        return True

    def indices(self, node: Node, what: str) -> tuple[Located, ...] | None:
        """A list of indices; the first may be `...`."""
        items = self.items(node, what, "[b, h]")
        if items is None:
            return None
        found = []
        for position, item in enumerate(items):
            if isinstance(item, Scalar) and item.text == "...":
                if position:
                    self.report.error("E209", "`...` may only be the first index", item.span)
                found.append(Located("...", item.span))
                continue
            index = self.name(item, "an index")
            if index is None:
                return None
            found.append(index)
        return tuple(found)

    def choice(self, node: Node, what: str, options: Iterable[str], code: str = "E116") -> Located | None:
        """One of a few words."""
        located = self.text(node, what)
        known = tuple(options)
        if located is None or located.text in known:
            return located
        remedy = suggest(located.text, known, "it is one of")
        self.report.error(code, f"unknown {what} {quote(located.text)}", located.span, remedy)
        return None

    def boolean(self, node: Node, what: str) -> bool | None:
        """`true` or `false`."""
        located = self.text(node, what)
        if located is None:
            return None
        if located.text in ("true", "false"):
            return located.text == "true"
        message = f"{what} is `true` or `false`, not {quote(located.text)}"
        self.report.error("E107", message, located.span)
        return None

    def number(self, node: Node, what: str) -> Fraction | None:
        """An exact number."""
        located = self.text(node, what)
        if located is None:
            return None
        try:
            return parse_number(located.text)
        except BadNumberError as bad:
            self.report.error(bad.code, f"{what}: {bad.message}", located.span, bad.help)
            return None

    def count(self, node: Node, what: str) -> int | None:
        """A positive integer."""
        number = self.number(node, what)
        if number is None:
            return None
        if number.denominator == 1 and number > 0:
            return int(number)
        self.report.error("E117", f"{what} is a positive integer", self.span(node))
        return None

    def fragment(self, node: Node, what: str) -> Fragment | None:
        """A scalar to be parsed as one expression or equation."""
        if self.text(node, what) is None:
            return None
        assert isinstance(node, Scalar)
        block = self.places.fragment(node)
        if self.folded(node) and joins_equations(block):
            self.joined(node)
            return None
        return one_expression(block)

    def folded(self, node: Scalar) -> bool:
        """Whether YAML has made one line of several."""
        return node.style == ">" or (node.style != "|" and node.span.end_line > node.span.line)

    def joined(self, node: Scalar) -> None:
        """Report text that folding has made something else of."""
        remedy = "write `|`, and one equation a line"
        self.report.error("E111", "YAML folds these lines into one, and so joins equations", node.span, remedy)

    def wrong_kind(self, node: Node, what: str, wanted: str, help: str | None = None) -> None:
        """Report a value of the wrong kind, or none."""
        if isinstance(node, Scalar) and node.null:
            self.report.error("E107", f"{what} is empty", node.span, help or f"it is {wanted}")
            return
        found = "a list" if isinstance(node, Sequence) else "a mapping" if isinstance(node, Mapping) else "text"
        self.report.error("E107", f"{what} is {wanted}, not {found}", self.span(node), help)

    def span(self, node: Node) -> Span:
        return node.span
