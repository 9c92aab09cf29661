"""What both grammars share: Lark's LALR parser on tokens with places, and its errors said of the formula."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, Tree, UnexpectedToken
from lark.exceptions import VisitError
from lark.lexer import Lexer

from tensorgrad_gen.errors import SpecError, quote
from tensorgrad_gen.importing.source import Node, Source, node

_MOST_SAID = 6  # kinds of tokens that a message offers


class _Given(Lexer):
    """Hands on tokens that are made already."""

    def __init__(self, lexer_conf: object) -> None:
        del lexer_conf

    def lex(self, lexer_state: Any, parser_state: Any = None) -> Iterator[Token]:
        del parser_state
        yield from lexer_state


@cache
def _parser(grammar: Path) -> Lark:
    return Lark(grammar.read_text("utf-8"), parser="lalr", lexer=_Given)


def parse(source: Source, grammar: Path, tokens: Sequence[Token], builder: Builder, said: Mapping[str, str]) -> Node:
    """The tree that the builder makes; `said` is what messages call the kinds of tokens, where they name them."""
    try:
        tree: Tree[Token] = _parser(grammar).parse(tokens)
        root: Node = builder.transform(tree)
    except UnexpectedToken as error:
        raise _unexpected(source, error, said) from None
    except VisitError as error:
        if isinstance(error.orig_exc, SpecError):
            raise error.orig_exc from None
        if isinstance(error.orig_exc, RecursionError):
            raise _too_deep(source) from None
        raise
    except RecursionError:
        raise _too_deep(source) from None
    return root


def _too_deep(source: Source) -> SpecError:
    return source.fault("E604", "the formula nests too deeply", 0, 1, "name a part of it")


def _unexpected(source: Source, error: UnexpectedToken, said: Mapping[str, str]) -> SpecError:
    token = error.token
    expected = [said[kind] for kind in sorted(error.accepts or error.expected) if kind in said]
    offered = list(dict.fromkeys(expected))[:_MOST_SAID]
    what = f": expected {' or '.join(offered)}" if offered else ""
    if token.type == "$END":
        end = len(source.text.rstrip())
        return source.fault("E601", f"the formula ends too soon{what}", end, end + 1)
    start, end = token.start_pos or 0, token.end_pos or 0
    return source.fault("E601", f"{quote(source.text[start:end])} does not fit here{what}", start, end)


class Builder(Transformer[Token, Any]):
    """Makes the nodes; a method has the children of its rule, tokens and nodes."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def node(self, kind: str, children: Iterable[Token | Node], parts: Iterable[Node], text: str = "") -> Node:
        """A node that spans all children."""
        places = [_place(child) for child in children if not (isinstance(child, Node) and child.end == 0)]
        return node(self.source, kind, min(s for s, _ in places), max(e for _, e in places), parts, text)

    def fault(self, code: str, message: str, of: Token | Node, help: str | None = None) -> SpecError:
        """The error at a token or node, to be raised."""
        return self.source.fault(code, message, *_place(of), help)


def _place(of: Token | Node) -> tuple[int, int]:
    if isinstance(of, Token):
        return of.start_pos or 0, of.end_pos or 0
    return of.start, of.end


def nodes(children: Iterable[Token | Node]) -> list[Node]:
    """The nodes among the children of a rule."""
    return [child for child in children if isinstance(child, Node)]
