"""Tensors whose names a derivative needs get other names.

Law: the program is the same up to names; afterwards no tensor or param is called `grad_x` or `tangent_x`
for a tensor `x`.  An input is still `called` what the spec calls it.
"""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.algebra import rename_tensors
from tensorgrad_gen.ir import Program

_PREFIXES = ("grad_", "tangent_")


def names_apart(program: Program) -> Program:
    """The program with `grad_x` as `grad_x_` where there is a tensor `x`; `x` as `x_` beside a param `grad_x`."""
    names = {name: name for name in program.tensors}
    params = {param.name for param in program.params}
    while clash := _clash(set(names.values()), params):
        names = {own: f"{name}_" if name == clash else name for own, name in names.items()}
    changed = {own: name for own, name in names.items() if own != name}
    return _renamed(program, changed) if changed else program


def _clash(tensors: set[str], params: set[str]) -> str | None:
    """A tensor to be called otherwise."""
    for name in sorted(tensors):
        if any(prefix + name in params for prefix in _PREFIXES) or name in params:
            return name
        if any(name == prefix + other for prefix in _PREFIXES for other in tensors):
            return name
    return None


def _renamed(program: Program, names: dict[str, str]) -> Program:
    def new(name: str) -> str:
        return names.get(name, name)

    return replace(
        program,
        inputs=tuple(replace(item, name=new(item.name), called=item.called or item.name) for item in program.inputs),
        constants=tuple(replace(constant, name=new(constant.name)) for constant in program.constants),
        statements=tuple(
            replace(s, target=new(s.target), value=rename_tensors(s.value, names)) for s in program.statements
        ),
        outputs=tuple(map(new, program.outputs)),
        axes=tuple((symbol, tuple((new(name), axis) for name, axis in places)) for symbol, places in program.axes),
    )
