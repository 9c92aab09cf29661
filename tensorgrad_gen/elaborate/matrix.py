"""Matrix functions of named tensors: each call becomes a statement of its own before the equation that has it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tensorgrad_gen.elaborate.extents import ELLIPSIS, Key
from tensorgrad_gen.elaborate.names import Names, Tensor
from tensorgrad_gen.elaborate.poly import atom
from tensorgrad_gen.elaborate.positions import extent
from tensorgrad_gen.elaborate.vocabulary import MATRIX_FUNCTIONS, SCALAR_MATRIX_FUNCTIONS
from tensorgrad_gen.errors import Span
from tensorgrad_gen.ir import Access, Apply, Expr, Index, Linalg, Position, Size, Statement, add, const, mul
from tensorgrad_gen.syntax.tree import Call, MatrixCall, Name

KINDS = {
    "inv": "inverse",
    "pinv": "pinv",
    "cholesky": "cholesky",
    "matrix_sqrt": "matrix_sqrt",
    "matrix_exp": "matrix_exp",
    "eigvalsh": "eigenvalues",
    "svdvals": "singular_values",
    "solve": "solve",
    "det": "det",
    "logdet": "logdet",
    "slogdet_sign": "slogdet_sign",
}


# Functions of a symmetric or Hermitian matrix: they read that part of what they are given.
SYMMETRIC = ("cholesky", "eigvalsh")
# Functions of a matrix of any shape.
_OF_ANY_SHAPE = ("pinv", "svdvals")


@dataclass(frozen=True, slots=True)
class MatrixUse:
    """A matrix function of named tensors, and the axes of its value."""

    function: str
    arguments: tuple[Tensor, ...]
    keys: tuple[Key, ...]

    @property
    def target(self) -> str:
        """The name of its statement, before it is made unique."""
        return "_".join((self.function, *(t.name for t in self.arguments)))


def resolve(node: MatrixCall | Call, names: Names) -> MatrixUse | None:
    """What a matrix function acts on; axes that must agree are joined.  None after an error."""
    report = names.report
    if node.name not in MATRIX_FUNCTIONS:
        names.unknown_function(node.name, node.name_span)
        return None
    wanted = MATRIX_FUNCTIONS[node.name].least
    if len(node.args) != wanted:
        message = f"`{node.name}` takes {wanted} argument{'s' if wanted > 1 else ''}, not {len(node.args)}"
        report.error("E313", message, node.span)
        return None
    tensors = [_argument(node.name, arg.name if isinstance(arg, Name) else None, arg.span, names) for arg in node.args]
    found = tuple(t for t in tensors if t is not None)
    if len(found) < wanted:
        return None
    return _axes(node, found, names)


def _argument(function: str, name: str | None, span: Span, names: Names) -> Tensor | None:
    if name is None:
        message = f"`{function}` acts on a named tensor"
        names.report.error("E507", message, span, f"define it in an equation of its own, and write `{function}(name)`")
        return None
    tensor = names.tensors.get(name)
    if tensor is None:
        names.unknown_tensor(name, span)
        return None
    names.used.add(name)
    if tensor.kind not in ("real", "complex"):
        code = "E307" if tensor.kind == "label" else "E314"
        names.report.error(code, f"`{name}` is a {tensor.kind} tensor, no matrix of numbers", span)
        return None
    return tensor


def _axes(node: MatrixCall | Call, tensors: tuple[Tensor, ...], names: Names) -> MatrixUse | None:
    matrix = tensors[0]
    if matrix.order < 2 or ELLIPSIS in matrix.letters[-2:]:
        message = f"`{node.name}` of a non-matrix: `{matrix.name}` has fewer than two axes"
        names.report.error("E504", message, node.args[0].span)
        return None
    batch, (row, col) = matrix.keys[:-2], matrix.keys[-2:]
    if node.name not in _OF_ANY_SHAPE and not names.extents.join(row, col):
        message = f"`{node.name}` of a matrix that is not square: `{matrix.name}` is {row} by {col}"
        names.report.error("E504", message, node.args[0].span)
        return None
    if node.name in SCALAR_MATRIX_FUNCTIONS:
        return MatrixUse(node.name, tensors, batch)
    if node.name in ("inv", "pinv"):
        return MatrixUse(node.name, tensors, (*batch, col, row))
    if node.name == "eigvalsh":
        return MatrixUse(node.name, tensors, (*batch, col))
    if node.name == "svdvals":
        return MatrixUse(node.name, tensors, (*batch, _smaller(matrix, names)))
    if node.name in ("cholesky", "matrix_sqrt", "matrix_exp"):
        return MatrixUse(node.name, tensors, (*batch, row, col))
    return _solve_axes(node, tensors, names)


def _smaller(matrix: Tensor, names: Names) -> Key:
    """The extent of the smaller of the last two axes: of each tensor a symbol of its own."""
    row, col = matrix.keys[-2:]
    if isinstance(row, int) and isinstance(col, int):
        return min(row, col)
    symbol = names.smaller.get(matrix.name)
    if symbol is None:
        stem = symbol = "_".join(("min", *dict.fromkeys(matrix.letters[-2:])))
        number = 1
        while symbol in names.letters or symbol in names.extents.sources:
            number += 1
            symbol = f"{stem}_{number}"
        names.smaller[matrix.name] = symbol
        names.extents.declare(symbol)
        names.ranges[symbol] = atom(Size("min", tuple(extent(key).size() for key in (row, col))))
    return symbol


def _solve_axes(node: MatrixCall | Call, tensors: tuple[Tensor, ...], names: Names) -> MatrixUse | None:
    matrix, rhs = tensors
    batch, (row, col) = matrix.keys[:-2], matrix.keys[-2:]
    extra = rhs.order - matrix.order + 1
    agreeing = zip((*batch, row), rhs.keys, strict=False)
    if extra not in (0, 1) or not all(names.extents.join(a, b) for a, b in agreeing):
        message = f"the leading axes of `{rhs.name}` are not those of `{matrix.name}`"
        wanted = ", ".join(matrix.letters[:-1])
        remedy = f"`{rhs.name}` needs the axes [{wanted}] or [{wanted}, m]"
        names.report.error("E507", message, node.args[1].span, remedy)
        return None
    return MatrixUse(node.name, tensors, (*batch, col, *rhs.keys[matrix.order - 1 :]))


def statement(use: MatrixUse, target: str, names: Names) -> Statement:
    """The statement that a matrix function stands for, with indices named as its arguments declare them."""
    matrix = use.arguments[0]
    taken: set[str] = set()
    indices = tuple(_fresh(letter, key, taken, names) for letter, key in zip(matrix.letters, matrix.keys))
    batch, row, col = indices[:-2], indices[-2], indices[-1]
    access: Expr = Access(matrix.name, indices)
    kind = KINDS[use.function]
    conjugated = Apply("conj", (access,)) if matrix.name in names.complex else None
    if use.function in SYMMETRIC:
        mirrored: Expr = Access(matrix.name, (*batch, col, row))
        mirrored = mirrored if conjugated is None else Apply("conj", (mirrored,))
        access = mul(const(Fraction(1, 2)), add(access, mirrored))
    if use.function in SCALAR_MATRIX_FUNCTIONS:
        return Statement(target, batch, Linalg(kind, access, (row,), (col,), None))
    if use.function == "svdvals":
        number = _fresh("n", use.keys[-1], taken, names)
        return Statement(target, (*batch, number), Linalg(kind, access, (row,), (col,), Position(number)))
    if len(use.arguments) == 1:
        value = Linalg(kind, access, (row,), (col,), conjugated if use.function == "pinv" else None)
        return Statement(target, (*batch, *value.axes), value)
    rhs = use.arguments[1]
    last = slice(matrix.order - 1, None)
    columns = tuple(_fresh(letter, key, taken, names) for letter, key in zip(rhs.letters[last], rhs.keys[last]))
    value = Linalg(kind, access, (row,), (col,), Access(rhs.name, (*batch, row, *columns)))
    return Statement(target, (*batch, col, *columns), value)


def _fresh(letter: str, key: Key, taken: set[str], names: Names) -> Index:
    name, number = letter, 0
    while name in taken:
        number += 1
        name = f"{letter}{number}"
    taken.add(name)
    extent = names.extents.extent(key)
    return Index(name, letter if extent is None else extent)
