"""`render_test`: the file of tests of an op."""

from __future__ import annotations

import builtins
import math
import shlex
from dataclasses import dataclass

from tensorgrad_gen.ir import Apply, Expr, Program
from tensorgrad_gen.op_tests.extents import Extents
from tensorgrad_gen.op_tests.functions import SURGERY, helpers
from tensorgrad_gen.op_tests.plain import in_tuple, param_value, plain_formula, plain_names, projection
from tensorgrad_gen.op_tests.samples import Case, cases, drawn
from tensorgrad_gen.render.canonical import body_sha
from tensorgrad_gen.render.docs import quoted
from tensorgrad_gen.render.layout import laid_out
from tensorgrad_gen.render.meta import one_line
from tensorgrad_gen.render.module import HeaderView
from tensorgrad_gen.render.templates import SHOWN, TESTS, Templates, filled, template_sha

SLOW_ABOVE = 60  # elements that finite differences move one by one


@dataclass(frozen=True, slots=True)
class TestMeta:
    """`spec_path` and `spec_sha` as for the op; `package` is what the op is imported from, `templates` as for it."""

    __test__ = False  # pytest: no test

    spec_path: str
    spec_sha: str
    package: str
    templates: Templates = ()


@dataclass(frozen=True, slots=True)
class TestView:
    """What `test.py.jinja` reads: plain values, ready to be printed."""

    __test__ = False  # pytest: no test

    doc: str
    imports: tuple[str, ...]
    package: str
    op: str
    shapes: str
    differentiable: str
    helpers: tuple[str, ...]
    parameters: str
    plain: tuple[str, ...]
    called: tuple[str, ...]
    projected: tuple[str, ...]
    moved: str
    drawn: tuple[str, ...]
    inputs: str
    first: int
    in_dims: str
    stacked: str
    derivable: bool
    smooth: bool
    second: bool
    forward: bool
    fast: str


def render_test(program: Program, meta: TestMeta) -> str:
    """The tests of an op, made from the program as it was elaborated."""
    text = filled(TESTS, _view(program, meta), meta.templates)
    command = f"tensorgrad-gen build {shlex.quote(one_line(meta.spec_path))} --tests DIR"
    body, own = laid_out(text), meta.templates
    sha = template_sha(own, tests=True)
    header = HeaderView(one_line(meta.spec_path), command, meta.spec_sha[:SHOWN], sha, body_sha(body))
    return filled("header.txt.jinja", header, own) + body


def _view(program: Program, meta: TestMeta) -> TestView:
    plain = plain_formula(program)
    found = cases(program)
    moving = [item.grad and item.kind in ("real", "complex") for item in program.inputs]
    surrogate = any(_replaces_derivatives(s.value) for s in program.statements)
    first = moving.index(True) if True in moving else 0
    in_dims = ["0" if place == first else "None" for place in range(len(program.inputs))]
    projected = [line for item in program.inputs for line in projection(item, plain.locals[item.name])]
    draws = _draws(program)
    names = [plain.locals[item.name] for item in program.inputs]
    made = helpers(plain.lines)
    return TestView(
        quoted(_doc(program, meta)),
        tuple(f"import {name}" for name in ("math",) if _uses(name, [*plain.lines, *made, *draws])),
        meta.package,
        program.name if _called_as(program) == program.name else f"{program.name} as {_called_as(program)}",
        ", ".join(in_tuple([repr(shape) for shape in case]) for case in found),
        in_tuple([str(flag) for flag in moving]),
        tuple(made),
        ", ".join(
            f"{name}: Tensor{' | None' if i.default is not None else ''}" for i, name in zip(program.inputs, names)
        ),
        plain.lines,
        tuple(_called(program, names)),
        tuple(projected),
        "_on_structured" if projected else "_op",
        tuple(draws),
        in_tuple(names),
        first,
        in_tuple(in_dims),
        "0.9 * first" if True in moving else "first",
        True in moving,
        not surrogate,
        program.differentiable != "once",
        "jvp" in program.derivatives and program.target == "function",
        ", fast_mode=True" if _elements(found[0]) > SLOW_ABOVE else "",
    )


def _doc(program: Program, meta: TestMeta) -> str:
    return (
        f"Tests of `{program.name}`: against its plain formula, differentiated by autograd, and finite differences.\n\n"
        f"They need torch, pytest, and the package `{meta.package}`, which the op is imported from: run\n"
        f"`python -m pytest` in the folder that holds it."
    )


def _called_as(program: Program) -> str:
    """The op's name in its tests: with `_` before it where it means something to Python, to pytest or to them."""
    name = program.name
    own = name in ("gradcheck", "gradgradcheck", "math", "pytest", "pytestmark", "torch") or name.startswith("test_")
    return f"_{name}" if own or hasattr(builtins, name) else name


def _called(program: Program, names: list[str]) -> list[str]:
    """The op's outputs as a tuple, its params those of the plain formula."""
    params = [f"{p.name}={param_value(p)}" for p in program.params]
    call = f"{_called_as(program)}({', '.join(names + params)})"
    return [f"return ({call},)" if len(program.outputs) == 1 else f"return {call}"]


def _draws(program: Program) -> list[str]:
    """The lines that draw the inputs."""
    names, locals_ = plain_names(program)
    place = {item.name: k for k, item in enumerate(program.inputs)}
    extents = Extents(program, names, locals_, lambda name: f"shapes[{place[name]}]")
    lines: list[str] = []
    for k, item in enumerate(program.inputs):
        name = locals_[item.name]
        made = drawn(item, name, f"shapes[{k}]", extents) + projection(item, name)
        if item.default is not None:
            made = [f"{name} = None", f"if shapes[{k}] is not None:", *(f"    {line}" for line in made)]
        lines += made
    return extents.lines + lines


def _replaces_derivatives(expr: Expr) -> bool:
    if isinstance(expr, Apply) and expr.function in SURGERY:
        return True
    return any(_replaces_derivatives(child) for child in expr.children)


def _uses(name: str, lines: list[str]) -> bool:
    return any(f"{name}." in line for line in lines)


def _elements(case: Case) -> int:
    return sum(math.prod(shape) for shape in case if shape is not None)
