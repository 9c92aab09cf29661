"""Conditions that are counted, and read elsewhere: a tensor of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tensorgrad_gen.algebra import abstract_key, map_nodes, walk
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.algebra.parts import reads_at_position
from tensorgrad_gen.ir import Access, Expr, Iverson, Mul, Statement, Sum
from tensorgrad_gen.plan.masked import in_order


def share_counted(statements: list[Statement], names: Namer) -> list[Statement]:
    """`n[i] = sum_k [x[i,k] == y[i]]; g[i,k] = [x[i,k] == y[i]]/n[i]` -> `t = x == y; n = sum_k [t]; g = [t]/n`.

    Not beside what is read at a computed position: the condition may say where that is.
    """
    nodes = [node for s in statements for node in walk(s.value)]
    keys = Counter(abstract_key(node)[0] for node in nodes if isinstance(node, Iverson))
    products = [node for node in nodes if isinstance(node, Mul)]
    guarding = [p for p in products if any(reads_at_position(f) for f in p.factors if not isinstance(f, Iverson))]
    for product in guarding:
        for factor in product.factors:
            keys.pop(abstract_key(factor)[0], None)
    for place, statement in enumerate(statements):
        value = statement.value
        if not isinstance(value, Sum) or not isinstance(value.body, Iverson) or not value.body.free:
            continue
        key, order = abstract_key(value.body)
        if keys[key] > 1 and not isinstance(value.body.condition, Access):
            indices = in_order(value.body)
            made = Statement(names.name("holds"), indices, value.body.condition, "bool")
            read = _reader(key, made, tuple(order.index(i) for i in indices))
            later = [Statement(s.target, s.indices, map_nodes(s.value, read), s.kind) for s in statements[place:]]
            return [*statements[:place], made, *share_counted(later, names)]
    return statements


def _reader(key: str, made: Statement, places: tuple[int, ...]) -> Callable[[Expr], Expr]:
    """What puts the tensor in the place of each condition with the key."""

    def read(node: Expr) -> Expr:
        if not isinstance(node, Iverson):
            return node
        found, order = abstract_key(node)
        return Iverson(Access(made.target, tuple(order[k] for k in places))) if found == key else node

    return read
