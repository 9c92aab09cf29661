"""Quotients that have a name are read in derivatives where they are there anyway, and nowhere else."""

from __future__ import annotations

import pytest

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.ir import Statement
from tensorgrad_gen.pipeline import Compiled, run
from tensorgrad_gen.simplify import quotients
from tests.test_equal import check_gradients

NORMALISED = "n[i] = norm[d](u[i,d]); a[i,d] = u[i,d]/n[i]"
READ = {
    "an output": ("y[i,d] = u[i,d]/norm[d](u[i,d])", "y"),
    "what another gradient reads": (f"{NORMALISED}; y[i] = a[i,d]*w[i,d]", "a"),
    "what another gradient is computed from": (
        f"{NORMALISED}; b[i,d] = a[i,d] + w[i,d]; y[i] = exp(b[i,d])*w[i,d]",
        "a",
    ),
    "several divisors": (
        "c[i] = u[i,d]*w[i,d]/(norm[d](u[i,d])*norm[d](w[i,d])); y[i] = c[i]^2",
        "c",
    ),
    "a coefficient": ("n[i] = w[i,d]*w[i,d]; y[i,d] = 2*u[i,d]/n[i]^2", "y"),
    "a function as divisor": ("y[i,d] = u[i,d]/max(norm[d](u[i,d]), 1/8)", "y"),
    "without a sum": ("y[i,d] = u[i,d]/w[i,d]", "y"),
}
NOT_READ = {
    "what nothing else reads": (f"{NORMALISED}; y[i] = sum[d](a[i,d])", "a"),
    "a product": (f"{NORMALISED}; b[i,d] = u[i,d]*n[i]; y[i] = b[i,d]*a[i,d]*w[i,d]", "b"),
    "a function of what it divides": ("n[i,d] = 1 + u[i,d]; y[i,d] = u[i,d]/n[i,d]", "y"),
    "what is larger than its factors": ("n[d] = w[i,d]*w[i,d]; a[i,d] = u[i,0]/n[d]; y[i] = a[i,d]*u[i,d]", "a"),
}


def compiled(equations: str) -> Compiled:
    lines = "".join(f"  {line.strip()}\n" for line in equations.split(";"))
    text = f"op: f\ninputs: {{u: [i, d], w: [i, d]}}\nequations: |\n{lines}outputs: [y]\n"
    return run(text, "f", until="simplify")


def reads(statements: tuple[Statement, ...], tensor: str) -> int:
    return sum(access.tensor == tensor for s in statements for access in accesses(s.value))


@pytest.mark.parametrize("name", READ)
def test_a_quotient_that_is_there_is_read(name: str) -> None:
    equations, quotient = READ[name]
    derived, simple = compiled(equations)["derive"], compiled(equations)["simplify"]
    check_gradients(derived.program, derived.adjoint, simple.adjoint)
    for before, after in ((derived.adjoint, simple.adjoint), (derived.tangent, simple.tangent)):
        assert reads(after.statements, quotient) > reads(before.statements, quotient)
        assert tuple(quotients(after.statements, simple.program)) == after.statements  # nothing is left to be read


@pytest.mark.parametrize("name", NOT_READ)
def test_what_would_have_to_be_made_for_it_is_not(name: str) -> None:
    equations, other = NOT_READ[name]
    derived, simple = compiled(equations)["derive"], compiled(equations)["simplify"]
    check_gradients(derived.program, derived.adjoint, simple.adjoint)
    assert reads(simple.adjoint.statements, other) <= reads(derived.adjoint.statements, other)
