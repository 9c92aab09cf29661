r"""What each rule of the LaTeX grammar makes, and what cannot be told from LaTeX alone, refused.

Kinds of nodes: `name`, `number`, `dots`; `access` (a name with subscripts), `sum` (its text the signs),
`product` (its text the operators), `fraction`, `power`, `call`, `bound` (body, then indices), `range` (of a
`\sum`: index, first, last), `compare`, `and`, `or`, `not`, `cases` (value, condition, ..., value), `norm`.
"""

from __future__ import annotations

import re

from lark import Token

from tensorgrad_gen.elaborate.vocabulary import BOUND, POINTWISE
from tensorgrad_gen.importing.latex.words import RELATIONS
from tensorgrad_gen.importing.parsing import Builder, nodes
from tensorgrad_gen.importing.source import Node

_Part = Token | Node
_TRANSPOSED = "a transposition is the order of the indices: x_{ji}"


def bare(of: Node) -> Node:
    """The node without brackets that only group."""
    while of.kind in ("paren", "group", "unbracketed"):
        of = of.parts[0]
    return of


class LatexBuilder(Builder):
    """A method for each name behind `->` in the grammar, and for each rule without one."""

    # equations, sums, products

    def start(self, parts: list[_Part]) -> Node:
        return self.node("start", parts, nodes(parts))

    def equation(self, parts: list[_Part]) -> Node:
        return self.node("equation", parts, nodes(parts))

    def sum(self, parts: list[_Part]) -> Node:
        signs = [str(part) for part in parts if isinstance(part, Token)]
        terms = nodes(parts)
        if not signs and len(terms) == 1:
            return terms[0]
        signs = signs if len(signs) == len(terms) else ["+", *signs]
        return self.node("sum", parts, terms, "".join(signs))

    def chain(self, parts: list[_Part]) -> Node:
        return self.product(parts)

    def tail(self, parts: list[_Part]) -> Node:
        return self.product(parts)

    def product(self, parts: list[_Part]) -> Node:
        factors: list[Node] = []
        operators, explicit = "", " "
        for part in parts:
            if isinstance(part, Token):
                explicit = "*" if part.type == "TIMES" else "/"
                continue
            if factors:
                self.told_apart(factors, operators, explicit, part)
            factors.append(part)
            operators += explicit
            explicit = " "
        return factors[0] if len(factors) == 1 else self.node("product", parts, factors, operators)

    def told_apart(self, factors: list[Node], operators: str, operator: str, factor: Node) -> None:
        r"""Refuse `\log x y`, `a / b c` and `f(x)`, which are read in both ways."""
        last = factors[-1]
        if last.kind == "name" and factor.kind == "paren" and operator == " " and not self.spaced(last, factor):
            remedy = rf"for the product, write `{last.text} \cdot (...)`; a function is `\operatorname{{...}}(...)`"
            raise self.fault("E702", f"a product, or the function `{last.text}`?", last, remedy)
        if last.kind == "unbracketed" and (operator != " " or bare(factor).kind != "call"):
            remedy = "put the argument of the function in brackets"
            raise self.fault("E702", "where does the argument of this function end?", last, remedy)
        if last.kind == factor.kind == "number" and operator == " ":
            raise self.fault("E702", "one number, or a product?", factor, r"write them together, or with a `\cdot`")
        numbers = all(bare(item).kind == "number" for item in factors)
        if operators.endswith("/") and operator == " " and not numbers and factor.kind != "bound":
            raise self.fault("E702", "is this below the `/` too?", factor, r"write `\frac{...}{...}`, or a `\cdot`")

    def spaced(self, one: Node, other: Node) -> bool:
        r"""Whether a space of LaTeX's own stands between: `c \, (a + b)` is a product."""
        return re.search(r"\\(?:[,;: ]|q?quad)", self.source.text[one.end : other.start]) is not None

    def big(self, parts: list[_Part]) -> Node:
        sign, body = parts[0], nodes(parts)[-1]
        if len(parts) == 2:
            raise self.fault("E701", "over which index?", sign, r"write it below: `\sum_{i}`")
        return self.over(parts, body, nodes(parts)[0].parts, None)

    def big_between(self, parts: list[_Part]) -> Node:
        below, above, body = nodes(parts)
        return self.over(parts, body, below.parts, above)

    def big_between_reversed(self, parts: list[_Part]) -> Node:
        above, below, body = nodes(parts)
        return self.over(parts, body, below.parts, above)

    def over(self, parts: list[_Part], body: Node, items: tuple[Node, ...], above: Node | None) -> Node:
        kind = "sum" if str(parts[0]) == r"\sum" else "prod"
        if above is None:
            return self.node("bound", parts, (body, *self.indices(items)), kind)
        if len(items) != 1 or items[0].kind != "ranged" or len(above.parts) != 1:
            raise self.fault("E701", "bounds are those of one index", above, r"write `\sum_{i=1}^{N}`, or `\sum_{i}`")
        index, first = items[0].parts
        over = self.node("range", [items[0], above], (bare(index), bare(first), bare(above.parts[0])))
        return self.node("bound", parts, (body, over), kind)

    # what has scripts

    def scripted(self, parts: list[_Part]) -> Node:
        return nodes(parts)[0]

    def below(self, parts: list[_Part]) -> Node:
        base, script = nodes(parts)
        return self.subscripted(parts, base, script)

    def above(self, parts: list[_Part]) -> Node:
        base, script = nodes(parts)
        return self.power(parts, base, script)

    def below_above(self, parts: list[_Part]) -> Node:
        base, below, above = nodes(parts)
        return self.power(parts, self.subscripted([base, below], base, below), above)

    def above_below(self, parts: list[_Part]) -> Node:
        base, above, below = nodes(parts)
        if base.kind != "name":
            raise self.fault("E701", "a subscript stands on a name", below, "subscripts come before a power")
        return self.power(parts, self.subscripted([base, below], base, below), above)

    def subscripted(self, parts: list[_Part], base: Node, script: Node) -> Node:
        name = base.parts[0] if base.kind == "group" else base
        only = bare(script.parts[0]) if len(script.parts) == 1 else None
        if name.kind == "norm" and only is not None and only.text in ("1", "2", "F"):
            return self.node("norm", parts, name.parts, only.text)
        if name.kind != "name":
            raise self.fault("E701", "a subscript stands on a name", base, "give the part an equation of its own")
        if only is not None and only.kind == "number" and re.fullmatch("[0-9]+", only.text):
            return self.node("name", parts, (), name.text + only.text)
        return self.node("access", parts, self.indices(script.parts), name.text)

    def indices(self, items: tuple[Node, ...]) -> list[Node]:
        """The subscripts: letters side by side are one each; what has `+` or a product sign is a position."""
        out: list[Node] = []
        for item in map(bare, items):
            letters = [bare(part) for part in item.parts] if item.kind == "product" and not item.text.strip() else []
            if item.kind == "number":
                remedy = (
                    "a tensor with a number is `{w_1}_{ij}`; an element of one is not read, as it counts from 0 here"
                )
                raise self.fault("E702", "a number among subscripts: part of the name, or a position?", item, remedy)
            if letters and any(part.kind not in ("name", "access") for part in letters):
                raise self.fault("E702", "an index, or several?", item, r"write a product with `\cdot`, or commas")
            if item.kind in ("ranged", "fraction", "power", "call", "bound", "norm", "cases"):
                raise self.fault("E207", "a subscript is an index or a position", item)
            out += letters or [item]
        return out

    def power(self, parts: list[_Part], base: Node, script: Node) -> Node:
        if len(script.parts) != 1:
            raise self.fault("E701", "a superscript is one power", script, "indices are subscripts: x_{ij}")
        exponent = script.parts[0]
        if exponent.kind == "star" or (exponent.kind == "name" and exponent.text == "T"):
            raise self.fault("E703", "index notation has no transposition", script, _TRANSPOSED)
        if exponent.kind == "paren" and bare(exponent).kind in ("number", "name"):
            remedy = r"write `x^2` for a power, and `\mathrm{x2}` for a name"
            raise self.fault("E702", "a superscript in brackets: a power, or part of the name?", script, remedy)
        return self.node("power", parts, (base, exponent))

    # functions

    def call(self, parts: list[_Part]) -> Node:
        name, head, bracket = parts
        assert isinstance(head, Node)
        assert isinstance(bracket, Node)
        return self.applied_to(parts, name, head, bracket.parts)

    def call_above(self, parts: list[_Part]) -> Node:
        called = self.call(parts[:3])
        return self.power(parts, called, nodes(parts)[-1])

    def call_bare(self, parts: list[_Part]) -> Node:
        name, head, argument = parts
        assert isinstance(head, Node)
        assert isinstance(argument, Node)
        called = self.applied_to(parts, name, head, (argument,))
        return called if argument.kind == "group" else self.node("unbracketed", parts, (called,))

    def call_of_big(self, parts: list[_Part]) -> Node:
        name, head, argument = parts
        assert isinstance(head, Node)
        assert isinstance(argument, Node)
        return self.applied_to(parts, name, head, (argument,))

    def applied_to(self, parts: list[_Part], name: _Part, head: Node, args: tuple[Node, ...]) -> Node:
        """The function of its arguments, its subscript and its power in their places."""
        below, above = head.parts
        made = self.of_function(parts, str(name), name, below.parts, args)
        if not above.parts:
            return made
        exponent = bare(above.parts[0])
        if exponent.kind == "sum":
            if str(name) == "erf" and exponent.text == "-":
                return self.node("call", parts, args, "erfinv")
            remedy = r"write `\frac{1}{...}`, or the inverse function by its name"
            raise self.fault("E702", "the inverse function, or one over it?", above, remedy)
        return self.power(parts, made, above)

    def of_function(
        self, parts: list[_Part], name: str, at: _Part, below: tuple[Node, ...], args: tuple[Node, ...]
    ) -> Node:
        if name == "log" and [item.text for item in below] == ["2"]:
            return self.node("call", parts, args, "log2")
        if name in BOUND and below:
            if len(args) != 1:
                raise self.fault("E313", f"`{name}` over an index takes one argument", at)
            return self.node("bound", parts, (args[0], *self.indices(below)), name)
        if below:
            raise self.fault("E701", f"`{name}` has no subscript", below[0], "give the part an equation of its own")
        if name not in POINTWISE and name != "size":
            raise self.fault("E316", f"`{name}` is over an index", at, rf"write `\operatorname{{{name}}}_{{i}}(...)`")
        return self.node("call", parts, args, name)

    def head(self, parts: list[_Part]) -> Node:
        return self.headed(None, None)

    def head_below(self, parts: list[_Part]) -> Node:
        return self.headed(nodes(parts)[0], None)

    def head_above(self, parts: list[_Part]) -> Node:
        return self.headed(None, nodes(parts)[0])

    def head_both(self, parts: list[_Part]) -> Node:
        return self.headed(*nodes(parts))

    def head_both_reversed(self, parts: list[_Part]) -> Node:
        return self.headed(*reversed(nodes(parts)))

    def headed(self, below: Node | None, above: Node | None) -> Node:
        nothing = Node("script", 0, 0)
        return Node("head", 0, 0, (below or nothing, above or nothing))

    def bracket(self, parts: list[_Part]) -> Node:
        return self.node("bracket", parts, nodes(parts))

    def bare(self, parts: list[_Part]) -> Node:
        return nodes(parts)[0]

    # scripts, leaves, brackets

    def script(self, parts: list[_Part]) -> Node:
        return self.node("script", parts, nodes(parts))

    def script_one(self, parts: list[_Part]) -> Node:
        kinds = {"NAME": "name", "NUMBER": "number", "TIMES": "star", "DOTS": "dots"}
        [token] = parts
        assert isinstance(token, Token)
        return self.node("script", parts, [self.node(kinds[token.type], parts, (), str(token))])

    def ranged(self, parts: list[_Part]) -> Node:
        return self.node("ranged", parts, nodes(parts))

    def dots(self, parts: list[_Part]) -> Node:
        return self.node("dots", parts, (), "...")

    def name(self, parts: list[_Part]) -> Node:
        return self.node("name", parts, (), str(parts[0]))

    def number(self, parts: list[_Part]) -> Node:
        return self.node("number", parts, (), str(parts[0]))

    def paren(self, parts: list[_Part]) -> Node:
        return self.node("paren", parts, nodes(parts))

    def group(self, parts: list[_Part]) -> Node:
        return self.node("group", parts, nodes(parts))

    def square(self, parts: list[_Part]) -> Node:
        [inside] = nodes(parts)
        condition = inside.kind in ("compare", "and", "or", "not")
        return self.node("indicator" if condition else "paren", parts, [inside])

    def fraction(self, parts: list[_Part]) -> Node:
        return self.node("fraction", parts, nodes(parts))

    def root(self, parts: list[_Part]) -> Node:
        return self.node("call", parts, nodes(parts), "sqrt")

    def root_of_order(self, parts: list[_Part]) -> Node:
        order, inside = nodes(parts)
        one = self.node("number", [order], (), "1")
        return self.node("power", parts, (inside, self.node("fraction", [order], (one, order))))

    def magnitude(self, parts: list[_Part]) -> Node:
        return self.node("call", parts, nodes(parts), "abs")

    def norm(self, parts: list[_Part]) -> Node:
        return self.node("norm", parts, nodes(parts), "2")

    def floor(self, parts: list[_Part]) -> Node:
        return self.node("call", parts, nodes(parts), "floor")

    def ceil(self, parts: list[_Part]) -> Node:
        return self.node("call", parts, nodes(parts), "ceil")

    # conditions

    def cases(self, parts: list[_Part]) -> Node:
        rows = nodes(parts)
        for k, row in enumerate(rows):
            if (row.kind == "otherwise") != (k == len(rows) - 1):
                raise self.fault("E701", "the last case, and no other, is the rest", row, r"write `\text{otherwise}`")
        return self.node("cases", parts, [part for row in rows for part in row.parts])

    def case(self, parts: list[_Part]) -> Node:
        return self.node("case", parts, nodes(parts))

    def otherwise(self, parts: list[_Part]) -> Node:
        return self.node("otherwise", parts, nodes(parts))

    def either(self, parts: list[_Part]) -> Node:
        return self.node("or", parts, nodes(parts))

    def both(self, parts: list[_Part]) -> Node:
        return self.node("and", parts, nodes(parts))

    def negation(self, parts: list[_Part]) -> Node:
        return self.node("not", parts, nodes(parts))

    def comparison(self, parts: list[_Part]) -> Node:
        return self.node("compare", parts, nodes(parts), RELATIONS[str(parts[1])])
