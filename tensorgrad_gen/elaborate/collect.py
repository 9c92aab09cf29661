"""First pass over an equation: every name is known, every subscript fits, extents that must agree are joined."""

from __future__ import annotations

from tensorgrad_gen.elaborate import matrix, positions, walk
from tensorgrad_gen.elaborate.extents import ELLIPSIS, Key
from tensorgrad_gen.elaborate.scope import Scope
from tensorgrad_gen.elaborate.vocabulary import (
    BOUND,
    MATRIX_FUNCTIONS,
    ONE_INDEX,
    POINTWISE,
    SCALAR_MATRIX_FUNCTIONS,
    SPECIAL_NUMBERS,
    SPECIAL_TENSORS,
    Signature,
)
from tensorgrad_gen.errors import Span, suggest
from tensorgrad_gen.syntax.tree import Access, Bound, Call, MatrixCall, Name, Number, Subscript, Tree, Unary


def collect(tree: Tree, scope: Scope) -> None:
    """Check every node of an expression and join what its subscripts join."""
    _Collector(scope).run(tree)


class _Collector:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.names = scope.names
        self.report = scope.names.report
        self.stack: list[Tree] = []

    def run(self, tree: Tree) -> None:
        self.stack = [tree]
        while self.stack:
            node = self.stack.pop()
            if isinstance(node, Name):
                self.name(node)
            elif isinstance(node, Access):
                self.access(node)
            elif isinstance(node, Call):
                self.call(node)
            elif isinstance(node, Bound):
                self.bound(node)
            elif isinstance(node, MatrixCall):
                self.matrix_call(node)
            else:
                self.stack += reversed(walk.children(node))

    def name(self, node: Name) -> None:
        """A bare name: an index's position, or something of order 0."""
        name, names = node.name, self.names
        if name in self.scope.indices or name in self.scope.arguments or name in SPECIAL_NUMBERS:
            return
        if name in names.broken:
            return
        if name in names.tensors:
            names.used.add(name)
            tensor = names.tensors[name]
            if tensor.order:
                remedy = f"write `{name}[{', '.join(tensor.letters)}]`"
                self.report.error("E201", f"`{name}` needs {_count(tensor.order, 'subscript')}", node.span, remedy)
        elif name in names.params or name in names.sizes:
            names.used.add(name)
        elif name in SPECIAL_TENSORS:
            self.report.error("E201", f"`{name}` needs subscripts", node.span, f"write `{name}[...]` with its indices")
        elif name in POINTWISE or name in BOUND or name in names.functions or name in MATRIX_FUNCTIONS:
            self.report.error("E316", f"`{name}` is a function, and needs an argument", node.span)
        else:
            names.unknown(name, node.span, self.scope.arguments)

    def access(self, node: Access) -> None:
        """`name[subs]`."""
        if node.name in self.names.broken:
            return
        if node.name == "one":
            for sub in node.subs:
                if self.scope.plain(sub) is None:
                    self.report.error("E207", "a subscript of `one` is an index", sub.span)
                if sub.ellipsis and not self.names.leading:
                    self.report.error("E209", "no input has leading axes `...`", sub.span)
        elif node.name == "delta":
            self.delta(node)
        elif node.name == "levi_civita":
            self.levi_civita(node)
        elif node.name in self.names.tensors:
            tensor = self.names.tensors[node.name]
            self.names.used.add(node.name)
            self.subscripts(node.name, node.subs, tensor.keys, tensor.letters, node.span)
        else:
            self.names.unknown_tensor(node.name, node.name_span)
            return
        if any(sub.ellipsis for sub in node.subs[1:]):
            self.report.error("E209", "`...` may only be the first subscript", node.span)

    def subscripts(
        self, name: str, subs: tuple[Subscript, ...], keys: tuple[Key, ...], letters: tuple[str, ...], span: Span
    ) -> None:
        """Subscripts against the axes they read."""
        dots = bool(keys) and keys[0] == ELLIPSIS
        if dots and not (subs and subs[0].ellipsis):
            remedy = f"write `{name}[..., {', '.join(letters[1:])}]`" if letters[1:] else f"write `{name}[...]`"
            self.report.error("E209", f"`{name}` has leading axes `...`, which are missing here", span, remedy)
            return
        if not dots and subs and subs[0].ellipsis:
            self.report.error("E209", f"`{name}` has no leading axes `...`", subs[0].span)
            return
        if len(subs) != len(keys):
            axes = ", ".join(letters)
            message = f"`{name}` takes {_count(len(keys), 'subscript')}, not {len(subs)}"
            self.report.error("E201", message, span, f"its axes are [{axes}]")
            return
        for sub, key, axis in zip(subs, keys, letters):
            if not sub.ellipsis:
                self.subscript(sub, key)
            if (letter := self.scope.plain(sub)) is not None:
                self.names.read_along(letter, name, axis, span)

    def subscript(self, sub: Subscript, key: Key) -> None:
        """One subscript of an axis: an index is joined with it, a label's range too."""
        letter = self.scope.plain(sub)
        if letter is not None:
            if letter in self.scope.window_letters and letter not in self.names.extents.sources:
                self.scope.deferred.append((letter, key, sub.span))
                return
            self.join(self.scope.key(letter), key, sub.span, f"index `{letter}`")
        elif self.is_position(sub):
            self.position(sub, key)
        else:
            label = self.label(sub)
            if label is not None:
                self.join(label, key, sub.span, "the range of the label")

    def is_position(self, sub: Subscript) -> bool:
        """Whether a subscript is a position, a bare name only if it is a param or a size."""
        value = sub.value if sub.value is None else walk.strip(sub.value)
        if sub.divisor is None and isinstance(value, Name):
            clash = value.name in self.names.refused  # reported where the letter is declared
            return not clash and (value.name in self.names.params or value.name in self.names.sizes)
        return self.scope.is_position(sub)

    def position(self, sub: Subscript, key: Key | None) -> None:
        """A position that reads an axis; it is kept, to find the ranges of its indices."""
        value = sub.value
        if isinstance(value, Unary) and isinstance(value.operand, Number) and value.op == "-":
            self.report.error("E404", "a negative constant subscript", sub.span, "write `N - 1` with the size's name")
            return
        found = positions.read(sub, self.scope)
        if found is not None and key is not None:
            self.scope.windows.append((found, key))

    def label(self, sub: Subscript) -> Key | None:
        """The axis that the label in a subscript is a position along; None if unknown or after an error."""
        value = None if sub.value is None else walk.strip(sub.value)
        if isinstance(value, Name | Access):
            return self.named_label(value)
        self.report.error("E207", "a subscript is an index, a position or a label", sub.span)
        return None

    def named_label(self, value: Name | Access) -> Key | None:
        tensor = self.names.tensors.get(value.name)
        if tensor is None and value.name in self.names.refused:
            return None
        if tensor is None:
            span = value.name_span if isinstance(value, Access) else value.span
            self.names.unknown_tensor(value.name, span)
            return None
        if tensor.kind != "label":
            message = f"`{value.name}` is a {tensor.kind} tensor, and cannot be a subscript"
            self.report.error("E308", message, value.span, "a subscript that is a tensor needs `kind: label`")
            self.names.used.add(value.name)
            return None
        self.stack.append(value)
        return tensor.labels

    def join(self, a: Key, b: Key, span: Span, what: str) -> None:
        """Make two extents agree, or report that they cannot."""
        extents = self.names.extents
        if not extents.join(a, b):
            first, second = extents.extent(a), extents.extent(b)
            source = self.names.given_by(first)
            given = f" ({source})" if source else ""
            self.report.error("E403", f"{what} has extent {first}{given}, but this axis has {second}", span)

    def delta(self, node: Access) -> None:
        """Both subscripts have one extent."""
        if len(node.subs) != 2 or any(sub.ellipsis for sub in node.subs):
            self.report.error("E201", f"`delta` has two subscripts, not {len(node.subs)}", node.span)
            return
        keys = []
        for sub in node.subs:
            letter = self.scope.plain(sub)
            if letter is None and self.is_position(sub):
                self.position(sub, None)
                continue
            key = self.label(sub) if letter is None else self.scope.key(letter)
            if key is not None:
                keys.append(key)
        if len(keys) == 2:
            self.join(keys[0], keys[1], node.span, "the first subscript")

    def levi_civita(self, node: Access) -> None:
        """Each index is as long as there are indices."""
        for sub in node.subs:
            letter = self.scope.plain(sub)
            if letter is None or letter == ELLIPSIS:
                self.report.error("E207", "a subscript of `levi_civita` is an index", sub.span)
            else:
                self.join(self.scope.key(letter), len(node.subs), sub.span, f"index `{letter}`")

    def call(self, node: Call) -> None:
        """`name(args)`."""
        name = node.name
        if name == "size":
            self.size(node)
            return
        if name in MATRIX_FUNCTIONS:
            self.bare_matrix_call(node)
            return
        self.stack += reversed(node.args)
        if name in POINTWISE:
            self.arity(node, POINTWISE[name])
        elif name in self.names.functions:
            self.names.used.add(name)
            wanted = len(self.names.functions[name].arguments)
            self.arity(node, Signature(wanted, wanted))
        elif name in BOUND:
            remedy = f"write `{name}[i]({quote_args(node)})` with the index that it binds"
            self.report.error("E316", f"`{name}` needs the index it is taken over", node.name_span, remedy)
        elif name == "pad":
            self.report.error("E316", "`pad` stands in a subscript only", node.name_span)
        else:
            self.names.unknown_function(name, node.name_span)

    def arity(self, node: Call | Bound, wanted: Signature) -> None:
        """The number of arguments is one that the function takes."""
        if len(node.args) < wanted.least or (wanted.most is not None and len(node.args) > wanted.most):
            most = "or more" if wanted.most is None else "" if wanted.most == wanted.least else f"to {wanted.most}"
            takes = f"{wanted.least} {most}".strip()
            message = f"`{node.name}` takes {takes} argument{'' if takes == '1' else 's'}, not {len(node.args)}"
            self.report.error("E313", message, node.span)

    def size(self, node: Call) -> None:
        """`size(h)`: the extent of an index."""
        arg = walk.strip(node.args[0]) if len(node.args) == 1 else None
        if arg is None:
            self.report.error("E313", f"`size` takes one index, not {len(node.args)} arguments", node.span)
        elif not isinstance(arg, Name) or (arg.name not in self.scope.indices and arg.name not in self.names.letters):
            known = (*self.scope.indices, *self.names.letters)
            name = arg.name if isinstance(arg, Name) else ""
            self.report.error("E206", "`size` takes the name of an index", arg.span, suggest(name, known, "indices"))

    def bound(self, node: Bound) -> None:
        """`name[subs](args)`."""
        name = node.name
        self.stack += reversed(node.args)
        if name not in BOUND:
            if name in POINTWISE or name in self.names.functions or name in MATRIX_FUNCTIONS:
                self.report.error("E316", f"`{name}` binds no index", node.name_span, f"write `{name}(...)`")
            else:
                self.names.unknown_function(name, node.name_span)
            return
        self.arity(node, BOUND[name])
        if not node.subs:
            self.report.error("E208", f"`{name}` needs an index", node.span)
        elif name in ONE_INDEX and (len(node.subs) > 1 or node.subs[0].ellipsis):
            self.report.error("E201", f"`{name}` takes one index", node.span)
        self.bound_indices(node)

    def bound_indices(self, node: Bound) -> None:
        """Each is an index, stands once, and occurs in the argument."""
        seen: set[str] = set()
        inside = {letter for arg in node.args[:1] for letter in self.scope.letters(arg)}
        for sub in node.subs:
            letter = self.scope.plain(sub)
            if letter is None:
                self.report.error("E207", f"`{node.name}` is taken over an index", sub.span)
            elif letter in seen:
                self.report.error("E211", f"`{node.name}` binds `{letter}` twice", sub.span)
            elif letter not in inside:
                message = f"index `{letter}` does not occur in the argument of `{node.name}`"
                remedy = f"multiply by the one-tensor: `{node.name}[{letter}](one[{letter}]*...)`"
                self.report.error("E208", message, sub.span, remedy)
            if letter is not None:
                seen.add(letter)

    def matrix_call(self, node: MatrixCall) -> None:
        """`inv(x)[b,k,i]`."""
        use = matrix.resolve(node, self.names)
        if use is not None:
            letters = tuple(key if isinstance(key, str) else "i" for key in use.keys)
            self.subscripts(f"{node.name}({quote_args(node)})", node.subs, use.keys, letters, node.span)

    def bare_matrix_call(self, node: Call) -> None:
        """`det(x)` without a batch."""
        use = matrix.resolve(node, self.names)
        if use is not None and use.keys:
            axes = "a batch axis" if node.name in SCALAR_MATRIX_FUNCTIONS else "axes"
            call = f"{node.name}({quote_args(node)})"
            message = f"`{call}` has {axes}, and needs subscripts"
            self.report.error("E507", message, node.span, f"write `{call}[...]` with its indices")


def quote_args(node: Call | MatrixCall) -> str:
    """The arguments of a call, those that are names."""
    return ", ".join(arg.name if isinstance(arg, Name) else "..." for arg in node.args)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
