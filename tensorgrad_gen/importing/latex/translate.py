"""LaTeX trees -> equations of the language: each part in the language's own spelling of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tensorgrad_gen.errors import Diagnostic
from tensorgrad_gen.importing.latex.builder import bare
from tensorgrad_gen.importing.latex.symbols import CONSTANTS, Symbols, is_delta, is_permutation, walk
from tensorgrad_gen.importing.naming import allowed, fresh
from tensorgrad_gen.importing.source import Node, Source, Traced, joined, said
from tensorgrad_gen.notation.levels import AND, ATOM, COMPARE, NOT, OR, POWER, SUM, TERM

_ONE_BELOW = "positions count from 0 here, and from 1 in most formulas; compare two of them: `[j \\le i]`"


@dataclass(slots=True)
class Translator:
    """One equation."""

    source: Source
    symbols: Symbols
    left: list[str] = field(default_factory=list)
    bound: list[str] = field(default_factory=list)
    comparing: bool = False
    warnings: list[Diagnostic] = field(default_factory=list)

    def equation(self, equation: Node) -> tuple[Traced, Traced]:
        target = bare(equation.parts[0])
        self.left = [sub.text for sub in target.parts]
        if any(sub.kind not in ("name", "dots") for sub in target.parts):
            raise self.source.fault("E210", "the left side has indices only", target.start, target.end)
        return self.access(target) if target.parts else said(allowed(target.text), target), self.top(equation.parts[1])

    # text, and how tightly it binds

    def at(self, node: Node, level: int) -> Traced:
        """The node where something that binds at least as tightly must stand."""
        node = bare(node)
        text, own = getattr(self, f"show_{node.kind}")(node)
        return text if own >= level else (*said("(", node), *text, *said(")", node))

    def top(self, node: Node) -> Traced:
        return self.at(node, OR)

    def called(self, name: str, args: list[Traced], of: Node) -> tuple[Traced, int]:
        return (*said(f"{name}(", of), *joined(", ", args, of), *said(")", of)), ATOM

    # leaves

    def show_number(self, node: Node) -> tuple[Traced, int]:
        return said(node.text, node), ATOM

    def show_name(self, node: Node) -> tuple[Traced, int]:
        name = node.text
        if name in CONSTANTS and name not in self.symbols.defined:
            return said(CONSTANTS[name], node), ATOM
        if name == "e" and name not in self.symbols.defined:
            return said("exp(1)", node), ATOM
        if name in self.symbols.indices:
            if not self.comparing:
                raise self.source.fault("E702", f"`{name}` is an index", node.start, node.end, _ONE_BELOW)
            return said(name, node), ATOM
        return said(name if name in self.symbols.sizes else allowed(name), node), ATOM

    def show_access(self, node: Node) -> tuple[Traced, int]:
        """An access; a free index that it has twice would look summed, and becomes two under a delta."""
        letters = [sub.text for sub in node.parts if sub.kind == "name"]
        twice = next((letter for letter in letters if letter in self.left and letters.count(letter) > 1), None)
        if twice is None or is_delta(node) or is_permutation(node):
            return self.access(node), ATOM
        self.not_summed(next(sub for sub in node.parts if sub.text == twice), node)
        taken = {*self.symbols.indices, *self.symbols.scalars, *self.symbols.defined, *self.symbols.sizes}
        out: list[Node] = []
        deltas: list[str] = []
        for sub in node.parts:
            if sub.kind == "name" and any(sub.text == other.text for other in out) and sub.text in self.left:
                other = fresh({*taken, *deltas})
                deltas += [other]
                out.append(Node("name", sub.start, sub.end, (), other))
            else:
                out.append(sub)
        pairs = [f"delta[{sub.text},{new.text}]" for sub, new in zip(node.parts, out) if sub is not new]
        inner = self.access(Node("access", node.start, node.end, tuple(out), node.text))
        factors = joined("*", [inner, *(said(pair, node) for pair in pairs)], node)
        return (*said(f"sum[{','.join(deltas)}](", node), *factors, *said(")", node)), ATOM

    def not_summed(self, index: Node, node: Node) -> None:
        """Say that a free index is not summed where it looks so."""
        message = f"index `{index.text}` is on the left, so it is not summed here"
        remedy = "this is what the equation means; to sum, use a letter that is not on the left"
        self.warnings.append(Diagnostic("warning", "W403", message, self.source.span(node.start, node.end), remedy))

    def access(self, node: Node) -> Traced:
        name = allowed(node.text)
        if is_delta(node):
            name = "delta"
        elif is_permutation(node):
            name = "levi_civita"
        comparing, self.comparing = self.comparing, True  # a position counts as the axis does
        subs = [said(sub.text, sub) if sub.kind in ("name", "dots") else self.at(sub, SUM) for sub in node.parts]
        self.comparing = comparing
        return (*said(f"{name}[", node), *joined(",", subs, node), *said("]", node))

    # operators

    def show_sum(self, node: Node) -> tuple[Traced, int]:
        out: Traced = ()
        for sign, term in zip(node.text, node.parts):
            if out:
                out += said(f" {sign} ", node)
            elif sign == "-":
                out += said("-", node)
            out += self.at(term, TERM)
        return out, SUM

    def show_product(self, node: Node) -> tuple[Traced, int]:
        """The factors; one that stands twice and has free indices only is a square, which never looks summed."""
        factors: list[tuple[str, Node, int]] = []
        for operator, part in zip(node.text, map(bare, node.parts)):
            operator = "/" if operator == "/" else "*"
            same = [k for k, (sign, other, _) in enumerate(factors) if operator == sign == "*" and _same(part, other)]
            same = [k for k, (sign, other, _) in enumerate(factors) if operator == sign == "*" and _same(part, other)]
            if same and all(sub.text in self.left for sub in part.parts):
                self.not_summed(part.parts[-1], part)
                sign, other, count = factors[same[0]]
                factors[same[0]] = (sign, other, count + 1)
            else:
                factors.append((operator, part, 1))
        out: Traced = ()
        for operator, part, count in factors:
            level = POWER if operator == "/" or (bare(part).kind in ("sum", "fraction") and out) else TERM
            text = self.at(part, ATOM) + said(f"^{count}", part) if count > 1 else self.at(part, level)
            out += (said(operator, node) if out else ()) + text
        return out, TERM

    def show_fraction(self, node: Node) -> tuple[Traced, int]:
        above, below = node.parts
        return (*self.at(above, TERM), *said("/", node), *self.at(below, POWER)), TERM

    def show_power(self, node: Node) -> tuple[Traced, int]:
        base, exponent = node.parts
        if bare(base).kind == "name" and bare(base).text == "e" and "e" not in self.symbols.defined:
            return self.called("exp", [self.top(exponent)], node)
        power = bare(exponent)
        if power.kind == "name" and power.text in self.symbols.indices:
            remedy = "all indices are subscripts here: write `x_{ij}`"
            raise self.source.fault("E702", "a power, or an index?", power.start, power.end, remedy)
        return (*self.at(base, ATOM), *said("^", node), *self.at(exponent, ATOM)), POWER

    # functions, and what binds indices

    def show_call(self, node: Node) -> tuple[Traced, int]:
        if node.text == "size" and bare(node.parts[0]).kind == "dots":
            return said("sum[...](one[...])", node), ATOM
        if node.text == "size":
            return said(f"size({bare(node.parts[0]).text})", node), ATOM
        return self.called(node.text, [self.top(part) for part in node.parts], node)

    def show_bound(self, node: Node) -> tuple[Traced, int]:
        body, *over = node.parts
        indices = [bare(index.parts[0] if index.kind == "range" else index) for index in over]
        for index in indices:
            if index.kind not in ("name", "dots"):
                raise self.source.fault("E207", "only an index can stand here", index.start, index.end)
        letters = [index.text for index in indices]
        self.bound += letters
        inside = self.top(body)
        del self.bound[len(self.bound) - len(letters) :]
        return (*said(f"{node.text}[{','.join(letters)}](", node), *inside, *said(")", node)), ATOM

    def show_norm(self, node: Node) -> tuple[Traced, int]:
        """Over the indices inside that are neither free, nor summed there or further out."""
        [inside] = node.parts
        letters = [letter for letter in opened(inside) if letter not in (*self.left, *self.bound)]
        if not letters:
            remedy = r"give what is inside its indices: `\|x_{i}\|`; for a magnitude, write `|x|`"
            raise self.source.fault("E701", "a norm over no index", node.start, node.end, remedy)
        self.bound += letters
        text = self.top(inside)
        del self.bound[len(self.bound) - len(letters) :]
        names = ",".join(letters)
        if node.text == "1":
            return (*said(f"sum[{names}](abs(", node), *text, *said("))", node)), ATOM
        return (*said(f"norm[{names}](", node), *text, *said(")", node)), ATOM

    # conditions

    def show_compare(self, node: Node) -> tuple[Traced, int]:
        """Indices may be compared with each other: then it is the same where they count from."""
        sides = [{name.text for name in walk(side)} & set(self.symbols.indices) for side in node.parts]
        comparing, self.comparing = self.comparing, all(sides)
        left, right = (self.at(side, SUM) for side in node.parts)
        self.comparing = comparing
        return (*left, *said(f" {node.text} ", node), *right), COMPARE

    def show_and(self, node: Node) -> tuple[Traced, int]:
        return joined(" and ", [self.at(part, NOT) for part in node.parts], node), AND

    def show_or(self, node: Node) -> tuple[Traced, int]:
        return joined(" or ", [self.at(part, AND) for part in node.parts], node), OR

    def show_not(self, node: Node) -> tuple[Traced, int]:
        return (*said("not ", node), *self.at(node.parts[0], NOT)), NOT

    def show_indicator(self, node: Node) -> tuple[Traced, int]:
        return (*said("[", node), *self.top(node.parts[0]), *said("]", node)), ATOM

    def show_cases(self, node: Node) -> tuple[Traced, int]:
        *rows, last = node.parts
        text = self.top(last)
        for value, condition in reversed(list(zip(rows[::2], rows[1::2]))):
            text = self.called("where", [self.top(condition), self.top(value), text], node)[0]
        return text, ATOM if rows else OR

    def show_dots(self, node: Node) -> tuple[Traced, int]:
        raise self.source.fault("E209", "`...` stands for axes, among subscripts", node.start, node.end)

    show_ranged = show_dots


def opened(node: Node) -> list[str]:
    """The indices that an expression has and does not sum: those that some term has once."""
    node = bare(node)
    if node.kind == "access":
        letters = [sub.text for sub in node.parts if sub.kind in ("name", "dots")]
        return [letter for letter in dict.fromkeys(letters) if letters.count(letter) == 1]
    if node.kind == "bound":
        bound = {bare(index).text for index in node.parts[1:]}
        return [letter for letter in opened(node.parts[0]) if letter not in bound]
    found = [letter for part in node.parts for letter in opened(part)]
    if node.kind in ("product", "fraction"):
        return [letter for letter in dict.fromkeys(found) if found.count(letter) == 1]
    return [] if node.kind == "norm" else list(dict.fromkeys(found))


def _same(one: Node, other: Node) -> bool:
    """Whether two nodes are the same access, of indices alone."""
    if one.kind != "access" or other.kind != "access" or one.text != other.text:
        return False
    plain = all(sub.kind == "name" for sub in (*one.parts, *other.parts))
    return plain and [sub.text for sub in one.parts] == [sub.text for sub in other.parts]
