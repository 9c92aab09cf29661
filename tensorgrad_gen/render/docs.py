"""Docstrings of a generated module: all of the mathematics, as text that can do no harm."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from tensorgrad_gen.algebra import readable, walk
from tensorgrad_gen.derive.model import Block, Further
from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import Apply, Index, Input, Parameter, Program
from tensorgrad_gen.lower.model import LoweredOp
from tensorgrad_gen.notation import loss_name, print_program, print_statement, size_names
from tensorgrad_gen.render.facts import Facts
from tensorgrad_gen.render.layout import WIDTH
from tensorgrad_gen.render.meta import OpMeta

OPERATOR = (
    "Registered as torch.ops.tensorgrad_gen.{op}: one node in exported and compiled graphs, which compilers do not "
    "look into or fuse; a kernel of your own may take its place. It returns what is saved for backward beside the "
    "outputs. Under torch.func and in forward mode, which know no such operator, the Function is called instead; "
    "torch.ops.tensorgrad_gen.{op} itself has no forward mode, no torch.func.grad, and a loop for torch.vmap."
)


def quoted(text: str) -> str:
    """The text as a docstring literal: whatever is in it, it ends where the quotes are."""
    safe = "".join(_escaped(c) for c in text.strip())
    if '"""' in safe or safe.endswith('"'):
        safe = safe.replace('"', '\\"')
    return f'"""{safe}"""' if "\n" not in safe else f'"""{safe}\n"""'


def _escaped(c: str) -> str:
    if c == "\\":
        return "\\\\"
    return c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode("ascii")


def summary(doc: str) -> str:
    """The first sentence."""
    text = " ".join(doc.split())
    match = re.match(r".*?[.!?](?=\s+[A-Z]|$)", text)
    return match.group() if match else text


def accessed(name: str, indices: tuple[Index, ...]) -> str:
    """`x[b,h]`."""
    return f"{name}[{','.join(index.name for index in indices)}]" if indices else name


def module_doc(facts: Facts, meta: OpMeta) -> str:
    """Forward, every gradient, what is saved."""
    program = facts.lowered.plan.program
    parts = [_paragraph(program.doc) or f"{program.name}.", "\n".join(_glossary(facts.lowered))]
    parts.append(_indented(meta.equations or _equations(program)))
    if facts.gradients:
        loss = loss_name(program)
        real = [name for name in facts.lowered.plan.outputs if not facts.discrete(name)]
        reaching = {root for block in facts.lowered.plan.backward for root in block.roots}
        given = ", ".join(f"grad_{name} = d{loss}/d{name}" for name in real if name in reaching)
        parts.append("\n".join(wrapped(f"with {given}:")))
        parts.append(_indented(meta.gradients or gradient_lines(facts)))
        if flat := [name for name in real if name not in reaching]:
            parts.append("\n".join(wrapped(f"The derivative of {' and of '.join(flat)} is 0.")))
        parts += ["\n".join(wrapped(line)) for line in _taken(program)]
        parts.append("\n".join(wrapped(saved_text(facts))))
    if facts.lowered.parts:
        parts.append("\n".join(wrapped(blocks_text(facts.lowered))))
    for further in facts.lowered.further:
        parts += _further(further)
    if program.target == "custom_op":
        parts.append("\n".join(wrapped(OPERATOR.format(op=program.name))).replace("\n    ", "\n"))
    return "\n\n".join(parts)


def _taken(program: Program) -> list[str]:
    """What derivatives are taken as where they have no value."""
    nodes = (node for s in program.statements for node in walk(s.value) if isinstance(node, Apply))
    found = dict.fromkeys(FUNCTIONS[node.function].taken for node in nodes)
    return [f"{text[0].upper()}{text[1:]}." for text in found if text]


def _further(lowered: LoweredOp) -> list[str]:
    """What a further derivative returns, and its formulas."""
    of, program = lowered.plan.of, lowered.plan.program
    assert of is not None
    shown = {block.held: shown_block(of, block) for block in of.blocks}
    lettered = f", {of.program.hints[-1][0]} for all leading axes" if of.lettered else ""
    title = f"{program.name} returns {', '.join(shown.values())}{lettered}:"
    statements = [readable(s) for s in of.statements]
    lines = tuple(print_statement(s, "math", size_names(program), shown) for s in statements)
    return ["\n".join(wrapped(title)), _indented(lines)]


def shown_block(of: Further, block: Block) -> str:
    """`dy/dx`, `d2y/dxdw`; a product with tangents by its name."""
    if of.kind == "hvp":
        return block.held
    order = "" if len(block.by) == 1 else str(len(block.by))
    return f"d{order}{block.of}/{''.join(f'd{name}' for name in block.by)}"


def _equations(program: Program) -> tuple[str, ...]:
    statements = tuple(readable(s) for s in program.statements)
    return tuple(print_program(replace(program, statements=statements), "math").split("\n"))


def _paragraph(doc: str) -> str:
    """The text in lines that fit: the author's own where they do."""
    from textwrap import wrap

    lines = [line.rstrip() for line in doc.strip().split("\n")]
    if all(len(line) <= WIDTH for line in lines):
        return "\n".join(lines)
    return "\n".join(
        part for line in lines for part in wrap(line, WIDTH - len('"' * 3), break_long_words=False) or [""]
    )


def _indented(lines: tuple[str, ...]) -> str:
    return "\n".join(part for line in lines for part in wrapped(line, "    "))


def wrapped(line: str, indent: str = "") -> list[str]:
    """The line in pieces that fit, later ones indented deeper."""
    from textwrap import wrap

    return wrap(line, WIDTH, initial_indent=indent, subsequent_indent=indent + "    ", break_long_words=False)


def _glossary(lowered: LoweredOp) -> list[str]:
    program = lowered.plan.program
    names = size_names(program)
    seen: dict[str, str] = {}
    for tensor in program.tensors.values():
        for index in tensor.indices:
            extent = names.get(str(index.extent), "") if isinstance(index.extent, str) else str(index.extent)
            text = "... any leading axes" if index.name == "..." else index.name
            seen.setdefault(index.name, f"{text} (extent {extent})" if extent else text)
    lines = [f"Indices: {', '.join(seen.values())}."] if seen else []
    bare = [item for item in program.inputs if not item.doc.strip()]
    if bare:
        lines.append(f"Input{'s' * (len(bare) > 1)} {', '.join(map(input_text, bare))}.")
    lines += [f"Input {input_text(item)}." for item in program.inputs if item not in bare]
    for param in program.params:
        default = "required" if param.default is None else f"default {default_text(param)}"
        lines.append(f"Param {param.name}: {default}.")
    return [part for line in lines for part in wrapped(line)]


def default_text(param: Parameter) -> str:
    """The default as a Python number: the nearest one where the rational has none."""
    value = Fraction(0) if param.default is None else param.default
    return repr(float(value)) if param.kind == "real" else repr(int(value))


def input_text(item: Input) -> str:
    """An input with what is said of it."""
    notes = [f"labels along {item.labels}" if item.kind == "label" else item.kind if item.kind != "real" else ""]
    notes += [f"default {item.default}" if item.default is not None else "", item.structure]
    notes += [f"passed as {item.called}" if item.keyword != item.name else ""]
    known = ", ".join(note for note in notes if note and note != "general")
    doc = " ".join(item.doc.split()).rstrip(".")
    return accessed(item.name, item.indices) + (f" ({known})" if known else "") + (f": {doc}" if doc else "")


def gradient_lines(facts: Facts) -> tuple[str, ...]:
    """The formulas of the first block, those of the code, then which tensor is which gradient."""
    plan = facts.lowered.plan
    loss = loss_name(plan.program)
    lines = [own for item in facts.blocks[0].live.lines if item.formula for own in item.formula.split("\n")]
    inputs = {item.name: item for item in facts.inputs}
    steps = {step.target: step for step in plan.backward[0].steps}
    for name, tensor in plan.backward[0].results:
        held = accessed(tensor, steps[tensor].indices) if tensor in steps else tensor
        lines.append(f"{accessed(f'd{loss}/d{name}', inputs[name].indices)} = {held}")
    return tuple(lines)


def saved_text(facts: Facts) -> str:
    """What is kept between forward and backward, in index notation, and its price."""
    read = facts.read(block.live for block in facts.blocks)
    plan = facts.lowered.plan
    outputs = [t for t in plan.outputs if t in read]
    free = [i.name for i in facts.inputs if i.name in read] + outputs
    extra = [t for t in facts.results if t not in (*plan.outputs, *facts.factors) and t in read]
    terms = "inputs and outputs, at no cost"
    if facts.unrounded and outputs and not facts.lowered.parts:
        terms += f"; in half precision {', '.join(outputs)} unrounded, 4 bytes an element"
    parts = [f"{', '.join(free)} ({terms})"] if free else []
    if kept := [t for t in facts.factors if t in read]:
        parts.append(f"{', '.join(kept)} (of a factorisation, as large as its matrix)")
    if not extra:
        return f"Saved for backward: {' and '.join(parts) if parts else 'nothing'}."
    indices = {step.target: step.indices for step in plan.forward}
    parts.append(", ".join(accessed(t, indices.get(t, ())) for t in extra))
    by_index: dict[str, int] = {}
    for tensor in extra:
        letters = ",".join(index.name for index in indices.get(tensor, ()))
        by_index[letters] = by_index.get(letters, 0) + 1
    price = "; ".join(
        f"{n} value{'s' * (n > 1)}{f' for each ({letters})' if letters else ''}, {4 * n} bytes in float32"
        for letters, n in by_index.items()
    )
    return f"Saved for backward: {' and '.join(parts)}: {price}."


def blocks_text(lowered: LoweredOp) -> str:
    """How an op with a chunk is worked, and what is never whole."""
    chunk = lowered.plan.program.chunk
    assert chunk is not None
    within: dict[str, str] = {}
    added: list[str] = []
    for plan in (part.plan for part in lowered.parts):
        if plan.part is not None and plan.part.count:
            block = plan.part.index.extent
            inner = [s for s in plan.program.statements if s.target not in plan.outputs]
            within |= {s.target: accessed(s.target, s.indices) for s in inner if block in {i.extent for i in s.indices}}
            added += [name for name, axis in zip(plan.outputs, plan.part.joins, strict=True) if axis is None]
    text = f"Worked in {chunk.count} blocks of {chunk.index}, one after another, {_worked_again(lowered)}"
    text += f"; never whole: {', '.join(within.values())}" if within else ""
    text += f"; added up over the blocks: {', '.join(added)}" if added else ""
    return f"{text}."


def _worked_again(lowered: LoweredOp) -> str:
    """What backward does with the blocks."""
    numbers = [part.plan.outputs[0] for part in lowered.parts if part.valued is not None]
    if not numbers:
        return "again in backward"
    made = f"the gradients of {' and '.join(numbers)} in the same pass where they are needed"
    return f"{made}, kept until backward scales them: as many bytes as the inputs have; again for further derivatives"


def public_doc(facts: Facts) -> str:
    """First sentence, and the shapes of what goes in and out."""
    program = facts.lowered.plan.program
    ins = ", ".join(accessed(item.keyword, item.indices) for item in program.inputs)
    outs = ", ".join(accessed(t, program.tensors[t].indices) for t in facts.lowered.plan.outputs)
    head = summary(program.doc)
    return quoted(f"{head}\n\n{ins} -> {outs}" if head else f"{ins} -> {outs}")
