"""Products of matrices that are terms of a sum: each is added where the sum is made, by `addmm` where that can be.

Law: a product goes into the sum if nothing else reads it and numbers are all that scales it; the formula of the sum
tells it then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tensorgrad_gen.algebra import accesses, all_indices, apart, map_nodes, substitute
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Access, Expr, Index, Sum
from tensorgrad_gen.lower.arith import negative
from tensorgrad_gen.lower.printer import reads, walk
from tensorgrad_gen.lower.rename import rebuilt
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Lit, Prefix, TExpr, TorchStatement, Tup, Var
from tensorgrad_gen.lower.values import LEAD, Val
from tensorgrad_gen.plan.model import Step

ADD_PRODUCTS = "_runtime.add_products"
_MINUS = "_runtime.minus_matmul"


@dataclass(frozen=True, slots=True)
class _Product:
    """`sign scale (left @ right)`, and the name of the statement that it was.

    `batched`: both factors have three axes; `single`: the right one is a matrix, that all of the left one is taken by.
    """

    name: str
    left: TExpr
    right: TExpr
    sign: int = 1
    scale: TExpr | None = None
    batched: bool = False
    single: bool = False

    def printed(self) -> Tup:
        """As an argument of the call."""
        scale = self.scale
        if self.sign < 0:
            scale = Lit(-1) if scale is None else negative(Val(scale)).expr
        return Tup((self.left, self.right) if scale is None else (self.left, self.right, scale))


def add_products(
    statements: Sequence[TorchStatement],
    kept: frozenset[str],
    said: Mapping[str, Step],
    numbers: frozenset[str],
    formula: Callable[[Step], str],
    vectors: frozenset[str] | None,
) -> list[TorchStatement]:
    """The statements, products in the sums that read them.

    `kept` are read from outside; `said` has the steps that statements are, as their formulas tell them; `numbers` are
    Python numbers; `vectors` have one axis.  None: tensors are not all of one dtype, or may be legacy batched ones, and
    PyTorch's `addmm` takes no such.
    """
    count = Counter(part.name for s in statements for part in walk(s.call) if isinstance(part, Var))
    alone = {name for name, step in said.items() if count[name] == 1 and _of_matrices(step)} - kept
    products = {s.target: found for s in statements if s.target in alone and (found := _product(s, said[s.target]))}
    result: list[TorchStatement] = []
    gone: set[str] = set()
    for statement in statements:
        step = said.get(statement.target)
        if step is None or step.formula is not None:
            result.append(statement)
            continue
        sums = _Sums({n: p for n, p in products.items() if _read_by(step, said[n])}, numbers, vectors or frozenset())
        call = sums.within(statement.call, () if vectors is None else step.indices)
        if sums.taken:
            used = all_indices(step.value) | frozenset(step.indices)
            value = map_nodes(step.value, _meanings([said[name] for name in sums.taken], used))
            statement = replace(statement, call=call, formula=formula(replace(step, value=value)))
            gone |= sums.taken
        result.append(statement)
    return [s for s in result if s.target not in gone]


def _of_matrices(step: Step) -> bool:
    """Whether the step sums a product of two tensors, each of which has indices of its own."""
    one, other = _factors(step) or (frozenset(), frozenset())
    return step.formula is None and bool(one - other) and bool(other - one)


def _factors(step: Step) -> tuple[frozenset[Index], frozenset[Index]] | None:
    """The indices of two factors whose product the step sums, but for those that it sums over."""
    if not isinstance(step.value, Sum):
        return None
    factors = [f.free - frozenset(step.value.indices) for f in factors_of(step.value.body) if not scalar(f)]
    return (factors[0], factors[1]) if len(factors) == 2 else None


def _product(statement: TorchStatement, step: Step) -> _Product | None:
    """The product that the statement is."""
    one, other = _factors(step) or (frozenset(), frozenset())
    batched = len(one & other) == 1 and len(step.indices) == 3
    single = not one & other and {step.indices[-1]} in (one, other)
    match statement.call:
        case Infix("@", left, right):
            return _Product(statement.target, left, right, batched=batched, single=single)
        case Call(function, (left, right)) if function == _MINUS:
            return _Product(statement.target, left, right, -1, batched=batched, single=single)
    return None


def _read_by(step: Step, product: Step) -> bool:
    """Whether the step reads the product once, by indices alone: it can tell what the product is."""
    found = [a for a in accesses(step.value) if a.tensor == product.target]
    return len(found) == 1 and all(isinstance(sub, Index) for sub in found[0].subs)


def _meanings(products: Sequence[Step], used: frozenset[Index]) -> Callable[[Expr], Expr]:
    """The products where they are read, what they sum over under letters that are not used there."""
    steps = {step.target: step for step in products}

    def meaning(node: Expr) -> Expr:
        step = steps.get(node.tensor) if isinstance(node, Access) else None
        if step is None or not isinstance(node, Access):
            return node
        here = dict(zip(step.indices, (sub for sub in node.subs if isinstance(sub, Index)), strict=True))
        return apart(substitute(step.value, here), used)

    return meaning


class _Sums:
    """The sums in an expression, with the products of these statements."""

    def __init__(self, products: Mapping[str, _Product], numbers: frozenset[str], vectors: frozenset[str]) -> None:
        self.products, self.numbers, self.vectors = products, numbers, vectors
        self.taken: set[str] = set()

    def within(self, expr: TExpr, indices: tuple[Index, ...] = ()) -> TExpr:
        """The expression with every sum in it that has products as one call.

        `indices`, if there are any, are those of the whole, which PyTorch may be asked for itself.
        """
        terms = _terms(expr, 1)
        if len(terms) < 2:
            return rebuilt(expr, self.within)
        found = [(sign, term, self.product(term, sign)) for sign, term in terms]
        products = [product for _, _, product in found if product is not None]
        rest = [(sign, term) for sign, term, product in found if product is None]
        tensors = [(sign, term) for sign, term in rest if not self.number(term)]
        positive = next((k for k, (sign, _) in enumerate(tensors) if sign > 0), None)
        if not products or (tensors and positive is None) or (not tensors and len(products) < 2):
            return rebuilt(expr, self.within)
        self.taken |= {product.name for product in products}
        first: TExpr | None = None
        if positive is not None:
            _, first = tensors.pop(positive)
            first = _sum(self.within(first), [(sign, self.within(term)) for sign, term in tensors])
        else:  # a product without a factor begins
            products.sort(key=lambda p: (p.sign < 0, p.scale is not None))
        call = _by_torch(first, products, indices) or (_linear(first, products, self.vectors) if indices else None)
        if call is None:
            call = Call(ADD_PRODUCTS, (first or Lit(None), *(product.printed() for product in products)))
        return _sum(call, [(sign, term) for sign, term in rest if self.number(term)])

    def product(self, term: TExpr, sign: int) -> _Product | None:
        """The term as a product of matrices times a number."""
        match term:
            case Prefix("-", inner):
                return self.product(inner, -sign)
            case Var(name) if name in self.products:
                own = self.products[name]
                return replace(own, sign=sign * own.sign)
            case Infix("*", left, right):
                for number, other in ((left, right), (right, left)):
                    found = self.product(other, sign) if self.number(number) else None
                    if found is not None:
                        scale = number if found.scale is None else Infix("*", number, found.scale)
                        return replace(found, scale=scale)
        return None

    def number(self, expr: TExpr) -> bool:
        """Whether the expression is a Python number."""
        return all(name in self.numbers or name.startswith("math.") for name in reads(expr)) and not any(
            isinstance(part, Call) and part.function.startswith("torch.") for part in walk(expr)
        )


def _linear(first: TExpr | None, products: list[_Product], vectors: frozenset[str]) -> TExpr | None:
    """A vector added to what a matrix makes of the last axis."""
    match products:
        case [_Product(_, left, right, 1, None, single=True)] if isinstance(first, Var) and first.name in vectors:
            weight = right.receiver if isinstance(right, Attr) and right.name == "mT" else Attr(right, "mT")
            return Call("torch.nn.functional.linear", (left, weight, first))
    return None


def _by_torch(first: TExpr | None, products: list[_Product], indices: tuple[Index, ...]) -> TExpr | None:
    """The sum by PyTorch's own operators, if it is one of matrices, or of a batch of them, and of few."""
    batched = len(indices) == 3 and all(product.batched for product in products)
    numbers = all(p.scale is None or (isinstance(p.scale, Lit) and p.scale.value) for p in products)
    if LEAD in indices or not (len(indices) == 2 or batched) or not numbers or len(products) > 2:
        return None
    if first is None:
        begun, *products = products
        if begun.sign < 0 or begun.scale is not None:
            return None
        first = Infix("@", begun.left, begun.right)
    for own in products:
        alpha = own.printed().items[2:]
        named = (("alpha", alpha[0]),) if alpha else ()
        first = Call("torch.baddbmm" if batched else "torch.addmm", (first, own.left, own.right), named)
    return first


def _terms(expr: TExpr, sign: int) -> list[tuple[int, TExpr]]:
    """The terms of a sum in order."""
    match expr:
        case Infix("+" | "-" as op, left, right):
            return [*_terms(left, sign), *_terms(right, sign if op == "+" else -sign)]
    return [(sign, expr)]


def _sum(first: TExpr, terms: Sequence[tuple[int, TExpr]]) -> TExpr:
    for sign, term in terms:
        first = Infix("+" if sign > 0 else "-", first, term)
    return first
