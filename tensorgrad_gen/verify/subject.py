"""From a program and its generated module to what the checks run on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.ir import Apply, Expr, Program
from tensorgrad_gen.reference import EvaluationError, evaluate
from tensorgrad_gen.verify import samples as draws
from tensorgrad_gen.verify.compare import is_float
from tensorgrad_gen.verify.composed import all_tensors, compose
from tensorgrad_gen.verify.extents import UndefinedValueError
from tensorgrad_gen.verify.functions import SURGERY
from tensorgrad_gen.verify.model import Function, Outputs, Params, Sample, Subject, Tensors


def make_subject(program: Program, module: ModuleType, seed: int = 0, device: str = "cpu") -> Subject:
    """The op, its plain formula and its samples."""
    rng = torch.Generator().manual_seed(seed)
    params = draws.default_params(program)
    base = _first_legal(program, draws.BASE, params, rng, device)
    # Most derivatives are taken on the tiny sample: a param that is 0 or 1 by default hides where it stands.
    tiny = _other_params(program, draws.TINY, rng, device) or _first_legal(program, draws.TINY, params, rng, device)
    square = _square(program, rng, device) or tiny[1]
    extra, undefined = _edges(program, base, rng, device)
    subject = Subject(
        name=program.name,
        op=getattr(module, program.name),
        reference=lambda tensors, params: compose(program, project(program, tensors), params),
        differentiable=tuple(item.grad and item.kind in ("real", "complex") for item in program.inputs),
        samples=_regular(program, base, rng, device),
        tiny=tiny[1],
        square=square,
        edges=extra,
        undefined=undefined,
        oracle=_oracle(program),
        smooth=lambda tensors, params: draws.distance_from_trouble(program, tensors, params)[0] >= 1.0,
        single=lambda tensors, params: compose(program, project(program, tensors), params, dtype=torch.float32),
        stable=_stable(program),
        orders=1 if program.differentiable == "once" else 2,
        forward="jvp" in program.derivatives,
        surrogate=any(_applies(s.value, SURGERY) for s in program.statements),
        clipped=any(_applies(s.value, ("clip_gradient",)) for s in program.statements),
        domains=tuple(item.domain if isinstance(item.domain, str) else "interval" for item in program.inputs),
        names=tuple(item.name for item in program.inputs),
        device=device,
        seed=seed,
    )
    return on_module(subject, program, module)


def on_module(subject: Subject, program: Program, module: ModuleType) -> Subject:
    """The same samples and the same plain formula, for the op that a module has."""
    public = getattr(module, program.name)
    raw = _on_structured(program, _raw(program, module))
    return replace(subject, op=_on_structured(program, public), bare=public, raw=raw, module=module)


def project(program: Program, tensors: Sequence[Tensor | None]) -> Tensors:
    """The tensors, of those with a structure the part that has it: what moves when one entry does."""
    return tuple(
        t if t is None else draws.structured(t, item.structure) for item, t in zip(program.inputs, tensors, strict=True)
    )


def _on_structured(program: Program, function: Function | None) -> Any:
    """The function after `project`, so that finite differences move as the derivative says."""
    if function is None or all(item.structure == "general" for item in program.inputs):
        return function
    count = len(program.inputs)

    def projected(*arguments: Any, **params: Any) -> Tensor | Sequence[Tensor]:
        return function(*project(program, arguments[:count]), *arguments[count:], **params)

    return projected


def _stable(program: Program) -> Callable[[Tensors, Params], Outputs]:
    from tensorgrad_gen.normalise import normalise

    form = normalise(program)

    def stable(tensors: Tensors, params: Params) -> Outputs:
        single = all(t is None or t.dtype in (torch.float32, torch.complex64) for t in tensors if is_float(t))
        dtype = torch.float32 if single else torch.float64
        return compose(form, project(program, tensors), params, dtype=dtype)

    return stable


def _first_legal(
    program: Program, budget: draws.Budget, params: Params, rng: torch.Generator, device: str
) -> tuple[draws.Shape, Sample]:
    problem: Exception | None = None
    # The diagonal of `sqrt((z[n] - z[m])^2 + eps)` is near a pole wherever the inputs are.
    for least in (draws.LEAST, draws.NEAREST):
        for shape in draws.candidate_shapes(program, budget, params):
            try:
                return shape, draws.regular_sample(program, shape, params, rng, device, least)
            except (UndefinedValueError, RuntimeError, IndexError, draws.NoSampleError) as error:
                problem = problem or error
    raise draws.NoSampleError(f"{program.name}: no sample: {problem}")


def _other_params(
    program: Program, budget: draws.Budget, rng: torch.Generator, device: str
) -> tuple[draws.Shape, Sample] | None:
    for kinds in (("real", "int"), ("real",), ("int",)):
        try:
            return _first_legal(program, budget, draws.default_params(program, kinds), rng, device)
        except draws.NoSampleError:
            continue  # the defaults may be the only params with a value everywhere
    return None


def _square(program: Program, rng: torch.Generator, device: str) -> Sample | None:
    symbols = [symbol for symbol, _ in program.axes if symbol != "..."]
    batch = (2,) if draws.has_batch(program) else ()
    params = draws.default_params(program)
    shape = draws.as_given(program, draws.make_shape(program, dict.fromkeys(symbols, 2), batch), params)
    try:
        return draws.regular_sample(program, shape, params, rng, device)
    except (UndefinedValueError, RuntimeError, IndexError, draws.NoSampleError):
        return None


def _regular(
    program: Program, base: tuple[draws.Shape, Sample], rng: torch.Generator, device: str
) -> tuple[Sample, ...]:
    shape, first = base
    out = [first]
    bare = draws.without_defaults(program, first)
    if bare is not None:
        out.append(bare)
    for kind in ("real", "int"):
        other = draws.default_params(program, (kind,))
        if other != first.params:
            out += _moved(program, shape, kind, other, rng, device)
    return tuple(out)


def _moved(
    program: Program, shape: draws.Shape, kind: str, params: Params, rng: torch.Generator, device: str
) -> list[Sample]:
    """A sample with other params: whole numbers may need other extents."""
    try:
        if kind == "int":
            shape, moved = _first_legal(program, draws.BASE, params, rng, device)
        else:
            moved = draws.regular_sample(program, shape, params, rng, device)
    except draws.NoSampleError:
        return []  # the defaults may be the only params with a value everywhere
    return [replace(moved, label=f"{shape.label}, other {kind} params")]


def _edges(
    program: Program, base: tuple[draws.Shape, Sample], rng: torch.Generator, device: str
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Samples with extents 1 and 0, and the labels of those on which the formula has no value."""
    params = draws.default_params(program)
    found: list[Sample] = []
    undefined: list[str] = []
    shapes = draws.one_shapes(program, base[0]) + draws.zero_shapes(program, base[0])
    for shape in dict.fromkeys(draws.as_given(program, shape, params) for shape in shapes):
        try:
            tensors = draws.draw(program, shape, params, rng, device)
            values = all_tensors(program, tensors, params)
        except (UndefinedValueError, RuntimeError, IndexError, ZeroDivisionError):
            undefined.append(shape.label)
        else:
            defined = not any(bool(torch.isnan(v).any()) for v in values.values()) and all(
                bool(torch.isfinite(values[name]).all()) for name in program.outputs
            )
            found.append(Sample(shape.label, tensors, params, regular=False, defined=defined))
    return tuple(found), tuple(undefined)


def _applies(expr: Expr, functions: Container[str]) -> bool:
    """Whether one of the functions is in the expression."""
    if isinstance(expr, Apply) and expr.function in functions:
        return True
    return any(_applies(child, functions) for child in expr.children)


def function_classes(module: ModuleType) -> Iterator[type[torch.autograd.Function]]:
    """The autograd Functions that a module defines, in order."""
    for value in list(vars(module).values()):
        if inspect.isclass(value) and issubclass(value, torch.autograd.Function):
            yield value


def _raw(program: Program, module: ModuleType) -> Function | None:
    camel = "_" + "".join(part.capitalize() for part in program.name.split("_"))
    found = {cls.__name__: cls for cls in function_classes(module)}
    cls = found.get(f"{camel}Dual") or found.get(camel)
    return None if cls is None else cls.apply


def _oracle(program: Program) -> Callable[[Tensors, Params], Outputs]:
    def oracle(tensors: Tensors, params: Params) -> Outputs:
        arrays = {
            item.name: None if t is None else t.detach().cpu().numpy()
            for item, t in zip(program.inputs, tensors, strict=True)
        }
        try:
            values = evaluate(program, arrays, dict(params))
        except EvaluationError as error:
            raise UndefinedValueError(str(error)) from error
        return tuple(torch.as_tensor(values[name]) for name in program.outputs)

    return oracle
