"""What each name of a spec stands for: tensors, params, sizes, functions, and letters of indices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tensorgrad_gen.elaborate.extents import ELLIPSIS, Extents, Key
from tensorgrad_gen.elaborate.poly import Poly
from tensorgrad_gen.elaborate.vocabulary import FUNCTIONS, RESERVED, SPECIAL_TENSORS
from tensorgrad_gen.errors import Report, Span, suggest
from tensorgrad_gen.spec.model import FunctionSpec, Located, OpSpec, ParamSpec, SizeSpec


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that equations may use: letters as declared, a key of extent for each axis."""

    name: str
    letters: tuple[str, ...]
    keys: tuple[Key, ...]
    kind: str  # real | bool | label
    role: str  # input | constant | defined
    span: Span
    labels: Key | None = None  # of a label: the axis its values are positions along

    @property
    def order(self) -> int:
        """How many subscripts it takes, `...` counted as one."""
        return len(self.letters)


@dataclass(slots=True)
class Names:
    """The tables of a spec; `tensors` grows as equations are read."""

    report: Report
    extents: Extents = field(default_factory=Extents)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    params: dict[str, ParamSpec] = field(default_factory=dict)
    sizes: dict[str, SizeSpec] = field(default_factory=dict)
    functions: dict[str, FunctionSpec] = field(default_factory=dict)
    letters: dict[str, Span] = field(default_factory=dict)  # of the whole spec, where first declared
    taken: dict[str, Span] = field(default_factory=dict)  # every name of anything but an index
    used: set[str] = field(default_factory=set)
    later: dict[str, Span] = field(default_factory=dict)  # targets of equations, where defined
    ranges: dict[str, Poly] = field(default_factory=dict)  # of indices that read with an offset or stride, by symbol
    smaller: dict[str, str] = field(default_factory=dict)  # of a matrix: the symbol of its smaller extent
    along: dict[str, tuple[Span, str]] = field(default_factory=dict)  # of a size's letter: where it reads another axis
    leading: bool = False  # whether an input has leading axes `...`
    refused: set[str] = field(default_factory=set)  # letters that cannot be indices, reported
    broken: set[str] = field(default_factory=set)  # names whose definition has an error, reported
    complex: set[str] = field(default_factory=set)  # tensors with complex values, as far as equations are built
    lines: list[str] = field(default_factory=list)  # of the spec file

    def slice(self, span: Span) -> str:
        """The user's own text at a place, on one line."""
        lines = self.lines[span.line - 1 : span.end_line]
        if not lines:
            return ""
        lines[-1] = lines[-1][: span.end_column - 1]
        lines[0] = lines[0][span.column - 1 :]
        return " ".join(" ".join(lines).split())

    def key(self, letter: str, equation: int) -> Key:
        """The extent's key of a letter in an equation."""
        return letter if letter in self.letters or letter == ELLIPSIS else (equation, letter)

    def scalar(self, name: str) -> bool:
        """Whether the name is of order 0 and therefore no index: a tensor (not a label), param or size."""
        if name in self.params or name in self.sizes:
            return True
        tensor = self.tensors.get(name)
        return tensor is not None and tensor.order == 0 and tensor.kind != "label"

    def given_by(self, extent: str | int | None) -> str:
        """What gives an extent, for messages: the constant, or else the input, that has an axis of it, and its line."""
        declared = [tensor for tensor in self.tensors.values() if tensor.role != "defined"]
        for tensor in sorted(declared, key=lambda tensor: tensor.role):
            if any(self.extents.extent(key) == extent for key in tensor.keys):
                return f"that of `{tensor.name}`, line {tensor.span.line}"
        return ""

    def read_along(self, letter: str, name: str, axis: str, span: Span) -> None:
        """Remember that a letter whose extent a size gives reads an axis of another letter: both get one extent."""
        given = any(size.index.text == letter and size.extent is not None for size in self.sizes.values())
        tensor = self.tensors.get(name)
        if given and axis != letter and (tensor is None or tensor.role != "constant"):  # whose axes have no letters
            self.along.setdefault(letter, (span, f"axis `{axis}` of `{name}`"))

    def part_of_axis(self, letter: str) -> tuple[str, str]:
        """What gives a size's letter the extent of an axis, and what to write for a part of that: for messages."""
        if letter not in self.along:
            return "", ""
        span, axis = self.along[letter]
        said = f"`{self.slice(span)}` in line {span.line} makes `{letter}` as long as {axis}"
        return said, f"to read only the first places of that axis, write `{letter} + 0` for `{letter}` there"

    def claim(self, name: Located, what: str) -> bool:
        """Take a name for a tensor, param, size or function; an error if it is reserved or taken."""
        if name.text in RESERVED:
            self.report.error(
                "E310",
                f"`{name.text}` is reserved: no {what} may have this name",
                name.span,
                "take another name: it means something in equations",
            )
            self.broken.add(name.text)
            return False
        if name.text in self.taken:
            message = f"two things named `{name.text}`: the other is in line {self.taken[name.text].line}"
            self.report.error("E315", message, name.span, "rename one of them")
            return False
        self.taken[name.text] = name.span
        return True

    def unknown(self, name: str, span: Span, also: Iterable[str] = ()) -> None:
        """Report a name that nothing defines; nothing is said of one whose equation could not be read."""
        if name in self.broken:
            return
        if name in self.later and self.later[name].line == span.line:
            message = f"`{name}` is used in the equation that defines it"
            self.report.error("E305", message, span, "an unknown that its equation defines stands under `implicit`")
            return
        if name in self.later:
            message = f"`{name}` is used before it is defined, in line {self.later[name].line}"
            self.report.error("E305", message, span, "move its equation up")
            return
        known = (*also, *self.tensors, *self.params, *self.sizes, *self.later)
        self.report.error("E301", f"unknown name `{name}`", span, suggest(name, known))

    def unknown_tensor(self, name: str, span: Span) -> None:
        """Report a name with subscripts that is no tensor."""
        if name in self.later or name in self.broken:
            self.unknown(name, span)
        elif name in FUNCTIONS or name in self.functions:
            self.report.error("E316", f"`{name}` is a function, and needs an argument", span, f"write `{name}(...)`")
        elif name in self.params or name in self.sizes:
            what = "param" if name in self.params else "size"
            self.report.error("E201", f"`{name}` is a {what} and takes no subscripts", span)
        else:
            known = (*self.tensors, *self.later, *SPECIAL_TENSORS)
            self.report.error("E301", f"unknown tensor `{name}`", span, suggest(name, known))

    def unknown_function(self, name: str, span: Span) -> None:
        """Report a call of what is no function."""
        if name in self.tensors:
            message = f"`{name}` is a tensor: its subscripts stand in brackets"
            self.report.error("E302", message, span, f"write `{name}[{','.join(self.tensors[name].letters)}]`")
            return
        self.report.error("E302", f"unknown function `{name}`", span, suggest(name, (*FUNCTIONS, *self.functions)))


def declare(spec: OpSpec, report: Report) -> Names:
    """The tables from the declarations of a spec: everything but its equations."""
    names = Names(report, lines=report.text.removeprefix("\ufeff").splitlines())
    for param in spec.params:
        if names.claim(param.name, "param"):
            names.params[param.name.text] = param
    for size in spec.sizes:
        if names.claim(size.name, "size"):
            names.sizes[size.name.text] = size
    for function in spec.functions:
        if names.claim(function.name, "function"):
            names.functions[function.name.text] = function
    _inputs(spec, names)
    for size in spec.sizes:
        names.letters.setdefault(size.index.text, size.index.span)
        if size.extent is not None:
            names.extents.declare(size.index.text)
    _constants(spec, names)
    _letters(names)
    return names


def _inputs(spec: OpSpec, names: Names) -> None:
    report = names.report
    for item in spec.inputs:
        for letter in item.indices:
            names.leading |= letter.text == ELLIPSIS
            if letter.text != ELLIPSIS:
                names.letters.setdefault(letter.text, letter.span)
                names.extents.declare(letter.text)
    for item in spec.inputs:
        if not names.claim(item.name, "tensor"):
            names.broken.add(item.name.text)
            continue
        if item.grad and item.kind in ("label", "bool"):
            message = f"`{item.name.text}` is a {item.kind} tensor, and cannot be differentiated"
            report.error("E309", message, item.name.span, "leave `grad` out")
        if item.kind == "complex":
            names.complex.add(item.name.text)
        if any(letter.text == ELLIPSIS for letter in item.indices[1:]):
            report.error("E209", "`...` may only be the first index", item.indices[-1].span)
            continue
        letters = tuple(letter.text for letter in item.indices)
        labels: Key | None = None
        if item.labels is not None:
            labels = item.labels.text
            names.letters.setdefault(item.labels.text, item.labels.span)
        if item.structure != "general":
            _structure(item.name, item.structure, letters, names)
        tensor = Tensor(item.name.text, letters, letters, item.kind, "input", item.name.span, labels)
        names.tensors[item.name.text] = tensor


def _structure(name: Located, structure: str, letters: tuple[str, ...], names: Names) -> None:
    if len(letters) < 2 or letters[-2] == ELLIPSIS:
        message = f"structure `{structure}` is of the last two axes, and `{name.text}` has fewer"
        names.report.error("E504", message, name.span)
        return
    names.extents.join(letters[-1], letters[-2])


def _constants(spec: OpSpec, names: Names) -> None:
    for constant in spec.constants:
        if names.claim(constant.name, "constant"):
            letters = tuple(f"{constant.name.text}{n}" for n in range(len(constant.shape)))
            name = constant.name.text
            names.tensors[name] = Tensor(name, letters, constant.shape, "real", "constant", constant.name.span)


def _letters(names: Names) -> None:
    for letter, span in names.letters.items():
        check_letter(letter, span, names)


def check_letter(letter: str, span: Span, names: Names) -> bool:
    """Whether a letter may be an index: an error if it is reserved or names something of order 0."""
    if letter in names.refused:
        return False
    if letter in SPECIAL_TENSORS or letter in ("pi", "inf", "and", "or", "not"):
        names.report.error(
            "E310",
            f"`{letter}` is reserved: no index may have this name",
            span,
            "take another letter: it means something in equations",
        )
        names.refused.add(letter)
        return False
    if names.scalar(letter):
        what = "a param" if letter in names.params else "a size" if letter in names.sizes else "a tensor of order 0"
        message = f"`{letter}` is {what}, and so cannot be an index"
        names.report.error("E212", message, span, "rename one of them")
        names.refused.add(letter)
        return False
    return True
