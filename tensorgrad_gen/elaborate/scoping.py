"""Which indices an additive term sums over, and where (language, section 3, rule 2).

For each index of a term that is neither free nor bound around it:
(a) one factor has it: the sum is inside that factor, or the factor is an access that has it twice;
(b) several have it and all are closed boxes: each sums by itself;
(c) otherwise the sum is over the product of the factors that have it;
(d) but in (c), a closed box beside factors that can sum the index without it is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tensorgrad_gen.elaborate import walk
from tensorgrad_gen.elaborate.extents import ELLIPSIS
from tensorgrad_gen.elaborate.scope import Scope
from tensorgrad_gen.errors import quote
from tensorgrad_gen.syntax.tree import Access, Tree


@dataclass(slots=True)
class Scoping:
    """The decisions of one equation, and its complaints: of each index once."""

    scope: Scope
    target: str
    boxes: list[Tree] = field(default_factory=list)  # around the term at hand, outermost first
    _reported: set[str] = field(default_factory=set)

    def summed_here(self, term: Tree, factors: list[walk.Factor], taken: frozenset[str]) -> list[str]:
        """The letters summed over the product of this term's factors, in order."""
        trees = [factor.tree for factor in factors]
        self._warn_free(trees)
        having: dict[str, list[Tree]] = {}
        for tree in trees:
            for letter in self.scope.letters(tree):
                if letter not in taken:
                    having.setdefault(letter, []).append(tree)
        return [letter for letter, found in having.items() if self._here(letter, found, term)]

    def _here(self, letter: str, having: list[Tree], term: Tree) -> bool:
        scope = self.scope
        if letter == ELLIPSIS:
            self._dots(having[0])
            return True
        if len(having) == 1:
            if scope.is_box(having[0], letter):
                return False
            if scope.multiplicity(having[0], letter) < 2:
                self.once(letter, having[0])
            return True
        closed = [tree for tree in having if scope.closed(tree, letter)]
        if len(closed) == len(having):
            return False
        if closed:
            self._beside(letter, having, closed, term)
        return True

    def _beside(self, letter: str, having: list[Tree], closed: list[Tree], term: Tree) -> None:
        """A closed box stands beside other factors: rule (d), or a warning."""
        box = closed[0]
        others = [tree for tree in having if tree is not box]
        if len(others) > 1 or self.scope.multiplicity(others[0], letter) > 1:
            self._ambiguous(letter, box, term)
        elif not _is_one(others[0]) and self._first(f"W404 {letter}"):
            own, whole = self._both(letter, box, term)
            message = f"the sum over `{letter}` is outside {self.text(box)}, which could sum it itself"
            self.scope.names.report.warn(
                "W404", message, box.span, f"one sum over the product: {whole}; a sum of its own inside: {own}"
            )

    def _ambiguous(self, letter: str, box: Tree, term: Tree) -> None:
        if self._first(letter):
            own, whole = self._both(letter, box, term)
            message = f"ambiguous sum over `{letter}`: {self.text(box)} can sum it, and so can the factors beside it"
            remedy = f"a sum of its own inside: {own}; one sum over the product: {whole}"
            self.scope.names.report.error("E204", message, box.span, remedy)

    def _both(self, letter: str, box: Tree, term: Tree) -> tuple[str, str]:
        """Both spellings: the box with a letter of its own, and the whole term under one `sum`."""
        other = self._unused()
        own = re.sub(rf"\b{letter}\b", other, self.scope.names.slice(box.span))
        return quote(own), quote(f"sum[{letter}]({self.scope.names.slice(term.span)})")

    def _unused(self) -> str:
        known = {*self.scope.indices, *self.scope.names.taken, *self.scope.names.letters}
        candidates = ["k", "l", "m", "n", *(f"k{n}" for n in range(1, len(known) + 2))]
        return next(letter for letter in candidates if letter not in known)

    def once(self, letter: str, tree: Tree) -> None:
        """Rule 3: an index that occurs once and is not free is an error."""
        if not self._first(letter):
            return
        report = self.scope.names.report
        term = self.scope.names.slice(tree.span)
        box = next((box for box in self.boxes if letter in self.scope.letters(box)), None)
        target = self._target_with(letter)
        if _is_one(tree):
            remedy = f"leave {quote(term)} out, or multiply it by a factor that has `{letter}`"
        elif box is None:
            remedy = f"sum over it with {quote(f'one[{letter}] * {term}')} or {quote(f'sum[{letter}]({term})')}"
        else:
            around = self.scope.names.slice(box.span)
            remedy = f"sum over it with {quote(f'one[{letter}]*{around}')} or {quote(f'sum[{letter}]({around})')}"
        tensor = self.scope.names.tensors.get(letter)
        if tensor is not None and tensor.kind == "label":
            axes = ", ".join(tensor.letters)
            remedy += f"; the label of this name needs its subscripts: `{letter}[{axes}]`"
        elif target:
            remedy += f", or add it to the left: {target}"
        span = self.scope.letters(tree)[letter]
        label = _label_with(letter, tree, self.scope)
        inside = f", in the label {quote(self.scope.names.slice(label.span))}," if label is not None else ""
        report.error("E203", f"index `{letter}` occurs once{inside} and is not on the left", span, remedy)

    def _target_with(self, letter: str) -> str:
        return quote(f"{self.target}[{','.join((*self.scope.left, letter))}]") if self.target else ""

    def _dots(self, tree: Tree) -> None:
        if self._first(ELLIPSIS):
            term = self.scope.names.slice(tree.span)
            remedy = f"write {quote(f'sum[...]({term})')}, or add it to the left: {quote(f'{self.target}[...]')}"
            span = self.scope.letters(tree)[ELLIPSIS]
            self.scope.names.report.error("E209", "`...` is never summed implicitly", span, remedy)

    def _warn_free(self, trees: list[Tree]) -> None:
        """Rule 1: a free index that stands where it looks summed.

        It does if one access has it twice, or if a product has one access twice all of whose
        indices are free: a sum of squares was perhaps meant.
        """
        left = set(self.scope.left)
        seen: set[tuple[str | None, ...]] = set()
        for tree in trees:
            if not isinstance(tree, Access):
                continue
            letters = self.scope.letters(tree)
            for letter in letters:
                if letter in left and self.scope.multiplicity(tree, letter) > 1:
                    self._looks_summed(letter, tree)
            same = (tree.name, *(self.scope.plain(sub) for sub in tree.subs))
            if None in same:
                continue
            if same in seen and letters and left.issuperset(letters) and ELLIPSIS not in letters:
                self._looks_summed(list(letters)[-1], tree)
            seen.add(same)

    def _looks_summed(self, letter: str, tree: Tree) -> None:
        if self._first(f"W403 {letter}"):
            message = f"index `{letter}` is on the left, so it is not summed here"
            remedy = "this is what the equation means; to sum, use a letter that is not on the left"
            self.scope.names.report.warn("W403", message, tree.span, remedy)

    def _first(self, key: str) -> bool:
        """Whether nothing was said of this key yet."""
        new = key not in self._reported
        self._reported.add(key)
        return new

    def text(self, tree: Tree) -> str:
        """The user's own text, quoted."""
        return quote(self.scope.names.slice(tree.span))


def _label_with(letter: str, tree: Tree, scope: Scope) -> Tree | None:
    """The label that has the index, where the tree reads a tensor at labels."""
    values = (sub.value for sub in tree.subs) if isinstance(tree, Access) else ()
    labels = (walk.strip(value) for value in values if value is not None)
    return next((label for label in labels if isinstance(label, Access) and letter in scope.letters(label)), None)


def _is_one(tree: Tree) -> bool:
    """Whether the factor is a one-tensor: then the user said where the sum is."""
    return isinstance(tree, Access) and tree.name == "one"
