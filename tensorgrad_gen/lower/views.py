"""What a torch expression is a view of."""

from __future__ import annotations

from tensorgrad_gen.lower.torch_ir import Attr, Call, Method, TExpr, TorchStatement, Var

_VIEW_CALLS = {
    f"_runtime.{name}"
    for name in ("rows", "merge_last", "split_axis", "take", "sum_lead", "einsum", "window", "window_sum")
}
_VIEWS = frozenset(
    [
        "transpose",
        "permute",
        "movedim",
        "narrow",
        "unsqueeze",
        "squeeze",
        "expand",
        "diagonal",
        "select",
        "detach",
        "reshape",
        "conj",
    ],
)
# Of these, those that leave nothing out.
_WHOLE = frozenset(
    {
        *("transpose", "permute", "movedim", "unsqueeze", "squeeze", "reshape", "mT"),
        *(f"_runtime.{name}" for name in ("rows", "merge_last", "split_axis", "einsum")),
    }
)


def viewed(expr: TExpr, statements: list[TorchStatement]) -> TExpr | None:
    """What the expression is a view of, or may be; None if it is a new tensor, or a variable nothing here makes."""
    match expr:
        case Method(receiver, name) if name in _VIEWS:
            return receiver
        case Attr(receiver, "mT" | "real" | "imag"):
            return receiver
        case Call(function, args) if function in _VIEW_CALLS:
            return args[0]
        case Var(name):
            made = next((s.call for s in statements if s.target == name), None)
            inner = None if made is None else viewed(made, statements)
            return made if isinstance(made, Var) else inner
    return None


def all_of(expr: TExpr, statements: list[TorchStatement]) -> bool:
    """Whether the expression has every element of the tensor that it is a view of: the axes alone are others."""
    match expr:
        case Method(of, name) | Attr(of, name) | Call(name, (of, *_)) if viewed(expr, statements) is not None:
            return name in _WHOLE and all_of(of, statements)
        case Var(name):
            made = next((s.call for s in statements if s.target == name), None)
            return made is None or all_of(made, statements)
    return True


def root_of(expr: TExpr, statements: list[TorchStatement]) -> str | None:
    """The variable that the expression is, or is a view of."""
    while (of := viewed(expr, statements)) is not None:
        expr = of
    return expr.name if isinstance(expr, Var) else None
