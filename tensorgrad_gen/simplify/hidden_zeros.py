"""Masks that hide nothing but zeros: `[|z| != 0] z` is `z`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tensorgrad_gen.algebra import accesses, map_nodes
from tensorgrad_gen.algebra.guards import is_masked
from tensorgrad_gen.algebra.hidden_zeros import zero_outside
from tensorgrad_gen.algebra.parts import factors_of, may_be_infinite, split_power, terms_of, wants_its_mask
from tensorgrad_gen.ir import Access, Expr, Iverson, Mul, Program, Statement, Sum, add, mul


def drop_masks(expr: Expr, program: Program) -> Expr:
    """The expression without masks beside a factor that is 0 where they are, if no other may be infinite there."""

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Mul):
            return node
        for mask in node.factors:
            rest = tuple(f for f in node.factors if f is not mask)
            if not isinstance(mask, Iverson) or any(map(may_be_infinite, rest)):
                continue
            bases = [base for base, exponent in map(split_power, rest) if exponent > 0]
            if any(zero_outside(base, mask.condition, program) for base in bases):
                return visit(mul(*rest))
        return node

    return map_nodes(expr, visit)


def drop_masks_of_masked(statements: Iterable[Statement], program: Program) -> list[Statement]:
    """`h = [c] g; a = [c] (h u - [c] v)` -> `a = h u - [c] v`, if what `u` reads is there, or masked by `c`, too."""
    table = {s.target: s for s in program.statements}
    return [replace(s, value=_plainer(s.value, table)) for s in statements if not table.update({s.target: s})]


def _plainer(value: Expr, table: Mapping[str, Statement]) -> Expr:
    """The value without masks of what is 0 outside of them anyway."""
    if not any(isinstance(factor, Iverson) for term in terms_of(value) for factor in factors_of(term)):
        return value
    return add(*(_unmasked(term, table) for term in terms_of(value)))


def _unmasked(term: Expr, table: Mapping[str, Statement]) -> Expr:
    for mask in factors_of(term):
        rest = mul(*(f for f in factors_of(term) if f is not mask))
        if isinstance(mask, Iverson) and _under(rest, mask, table):
            return _unmasked(rest, table)
    return term


def _under(expr: Expr, mask: Iverson, table: Mapping[str, Statement]) -> bool:
    """Whether the value is 0, and read of nothing that may be infinite, where the mask is 0."""
    factors = factors_of(expr)
    zeros = [f for f in factors if _is_zero(f, mask, table)]
    return bool(zeros) and all(_finite(f, mask, table) for f in factors if f is not zeros[0])


def _is_zero(factor: Expr, mask: Iverson, table: Mapping[str, Statement]) -> bool:
    """Whether the factor is 0 where the mask is: it has the mask, or each of its terms is, or what is summed."""
    if isinstance(factor, Sum):
        return not mask.free & set(factor.indices) and _is_zero(factor.body, mask, table)
    if isinstance(factor, Access):
        return is_masked(factor, mask.condition, table)
    if isinstance(factor, Mul):
        return mask in factor.factors or _under(factor, mask, table)
    return len(terms_of(factor)) > 1 and all(_is_zero(term, mask, table) for term in terms_of(factor))


def _finite(factor: Expr, mask: Iverson, table: Mapping[str, Statement]) -> bool:
    return not wants_its_mask(factor) and all(_there(access, mask, table) for access in accesses(factor))


def _there(access: Access, mask: Iverson, table: Mapping[str, Statement]) -> bool:
    return not access.free & mask.free or is_masked(access, mask.condition, table)
