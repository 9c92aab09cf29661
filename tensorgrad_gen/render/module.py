"""`render_op`, `render_init`, `render_runtime`: from views to the text of files."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from tensorgrad_gen.errors import NotBuiltError
from tensorgrad_gen.lower.model import LoweredOp
from tensorgrad_gen.render.apart import apart
from tensorgrad_gen.render.backward import backward_view, saved_needs
from tensorgrad_gen.render.bodies import forward_view, setup_view, step_view, tangent_view
from tensorgrad_gen.render.canonical import body_sha
from tensorgrad_gen.render.chunked import chunked_view
from tensorgrad_gen.render.docs import module_doc, quoted
from tensorgrad_gen.render.facts import Facts, gather
from tensorgrad_gen.render.further import further_views
from tensorgrad_gen.render.layout import laid_out, spaced
from tensorgrad_gen.render.meta import OpMeta, one_line
from tensorgrad_gen.render.names import class_name
from tensorgrad_gen.render.public import public_view
from tensorgrad_gen.render.runtime_text import inlined, runtime_body
from tensorgrad_gen.render.templates import SHOWN, Templates, filled, template_sha
from tensorgrad_gen.render.valued import valued_view
from tensorgrad_gen.render.view import FunctionView, ModuleView


@dataclass(frozen=True, slots=True)
class HeaderView:
    """The first lines of a generated file; `spec` and `spec_sha` are empty where it is no op."""

    spec: str
    command: str
    spec_sha: str
    template_sha: str
    body_sha: str


@dataclass(frozen=True, slots=True)
class InitEntry:
    """An op as its package's `__init__.py` knows it: `module` is relative, `.nn.layer_norm`."""

    name: str
    module: str


@dataclass(frozen=True, slots=True)
class InitView:
    """What `init.py.jinja` reads: the ops by name, and by module as imports are ordered."""

    ops: tuple[InitEntry, ...]
    imports: tuple[InitEntry, ...]


@dataclass(frozen=True, slots=True)
class RuntimeView:
    """What `runtime.py.jinja` reads."""

    body: str


def render_op(lowered: LoweredOp, meta: OpMeta) -> str:
    """The generated module of an op."""
    op = lowered.plan.program.name
    if op == "annotations":
        raise NotBuiltError("an op cannot have the name annotations, which every generated module has from __future__")
    view = module_view(lowered, meta, "_runtime.")
    template = "module.py.jinja"
    text = filled(template, view, meta.templates)
    if meta.standalone:
        imports, helpers = inlined(_used(text), modules_of(lowered))
        text = filled(template, module_view(lowered, meta, "_", imports, helpers), meta.templates)
    text = laid_out(apart(text, (op,)))
    return headed(text, one_line(meta.spec_path), meta.command, meta.spec_sha[:SHOWN], meta.templates)


def _used(text: str) -> frozenset[str]:
    """What the module uses of the runtime and of what the runtime imports."""
    nodes = list(ast.walk(ast.parse(text)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)} & {"Any", "Tensor", "torch"}
    return frozenset(names) | {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "_runtime"
    }


def render_init(ops: Sequence[InitEntry], command: str) -> str:
    """The `__init__.py` of a folder of ops."""
    names = [op.name for op in ops]
    packages = {op.module.split(".")[1] for op in ops if op.module.count(".") > 1}
    if clash := sorted(packages & set(names)) or sorted({n for n in names if names.count(n) > 1}):
        raise NotBuiltError(f"two things are called {clash[0]}: ops, or an op and a folder of ops")
    view = InitView(tuple(sorted(ops, key=lambda op: op.name)), tuple(sorted(ops, key=lambda op: op.module)))
    return headed(laid_out(apart(filled("init.py.jinja", view), names)), "", one_line(command), "")


def render_runtime(command: str) -> str:
    """`_runtime.py`, which the ops of an output folder share."""
    text = filled("runtime.py.jinja", RuntimeView(runtime_body()))
    return headed(spaced(text.split("\n")), "", one_line(command), "")


def module_view(lowered: LoweredOp, meta: OpMeta, runtime: str, imports: str = "", helpers: str = "") -> ModuleView:
    """All that the module's template prints."""
    facts = gather(lowered, runtime)
    functions = [gather(part, runtime) for part in lowered.parts] or [facts]
    return ModuleView(
        quoted(module_doc(facts, meta)),
        imports or "\n".join(_imports(functions, meta, lowered)),
        helpers,
        runtime,
        facts.op,
        (facts.op, *(further.plan.program.name for further in lowered.further)),
        tuple(step_view(name, step, runtime) for name, step in lowered.steps),
        tuple(map(_function, functions)),
        chunked_view(facts) if lowered.parts else None,
        public_view(facts),
        further_views(facts),
    )


def _function(facts: Facts) -> FunctionView:
    plan, cls = facts.lowered.plan, class_name(facts.op)
    needed = saved_needs(facts)
    derivable = bool(facts.gradients)
    auxiliary = [t for t in facts.results if t not in plan.outputs and t not in facts.factors]
    saved = f", then the saved {', '.join(auxiliary)}: differentiable outputs too" if auxiliary else ""
    saved += f", then {', '.join(facts.factors)}, which backward reads" if facts.factors else ""
    return FunctionView(
        cls,
        f"{cls}Dual",
        f'"""Outputs: {", ".join(plan.outputs)}{saved}."""',
        facts.local,
        forward_view(facts),
        setup_view(facts, needed) if derivable else None,
        backward_view(facts) if derivable else None,
        tangent_view(facts) if derivable and facts.tangent is not None else None,
        valued_view(facts) if derivable and facts.lowered.valued is not None else None,
    )


def _imports(functions: Sequence[Facts], meta: OpMeta, lowered: LoweredOp) -> list[str]:
    lines = [f"import {name}" for name in modules_of(lowered)]
    lines += ["from typing import Any"] if any(facts.gradients for facts in functions) else []
    relative = "." * (meta.depth + 1)
    gap = [""] if lines else []
    return [*lines, *gap, "import torch", "from torch import Tensor", "", f"from {relative} import _runtime"]


def modules_of(lowered: LoweredOp) -> tuple[str, ...]:
    """Modules beside torch that the bodies use."""
    bodies = [
        body
        for op in lowered.parts or (lowered,)
        for body in (op.forward, *op.backward, op.valued, op.tangent)
        if body is not None
    ]
    bodies += [further.forward for further in lowered.further]
    bodies += [step.forward for _, step in lowered.steps]
    return tuple(sorted({name for body in bodies for name in body.imports} - {"torch"}))


def headed(body: str, spec: str, command: str, spec_sha: str, own: Templates = ()) -> str:
    """The text under a header with the hashes."""
    view = HeaderView(spec, command, spec_sha, template_sha(own), body_sha(body))
    return filled("header.txt.jinja", view, own) + body
