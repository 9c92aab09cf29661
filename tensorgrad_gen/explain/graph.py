"""The forward dependency graph and the backward one, its arrows reversed, as Mermaid and DOT."""

from __future__ import annotations

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.derive import active_tensors
from tensorgrad_gen.ir import Program

Edge = tuple[str, str]


def edges(program: Program) -> list[Edge]:
    """(read, defined) for each tensor that a statement reads."""
    found = []
    for statement in program.statements:
        for tensor in dict.fromkeys(a.tensor for a in accesses(statement.value)):
            found.append((tensor, statement.target))
    return found


def backward_edges(program: Program) -> list[Edge]:
    """The arrows of cotangents: reversed, between what derivatives flow through."""
    active = active_tensors(program)
    return [(b, a) for a, b in reversed(edges(program)) if a in active and b in active]


def _mermaid(arrows: list[Edge], prefix: str) -> list[str]:
    return ["graph TD", *(f"  {prefix}{a}[{prefix}{a}] --> {prefix}{b}[{prefix}{b}]" for a, b in arrows)]


def _dot(name: str, arrows: list[Edge], prefix: str) -> list[str]:
    return [f"digraph {name} {{", *(f'  "{prefix}{a}" -> "{prefix}{b}";' for a, b in arrows), "}"]


def graphs(program: Program) -> dict[str, str]:
    """Mermaid and DOT text of both graphs."""
    forward, backward = edges(program), backward_edges(program)
    return {
        "forward.mermaid": "\n".join(_mermaid(forward, "")),
        "backward.mermaid": "\n".join(_mermaid(backward, "grad_")),
        "forward.dot": "\n".join(_dot("forward", forward, "")),
        "backward.dot": "\n".join(_dot("backward", backward, "grad_")),
    }
