"""How each node gets its value modulo a prime."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from tensorgrad_gen.algebra.field import (
    PRIME,
    Matrix,
    NoValueError,
    atom,
    determinant,
    integer_power,
    inverse_matrix,
    matrix_product,
    reciprocal,
    root,
    sign,
)
from tensorgrad_gen.algebra.keys import key
from tensorgrad_gen.algebra.modular import INT_PARAM, RULES, At, Modular, rational
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    Iverson,
    LeviCivita,
    Linalg,
    Logic,
    Mul,
    Param,
    Position,
    Pow,
    Reduce,
    Root,
    Scan,
    Special,
    Sum,
    Where,
    number,
)


def _access(m: Modular, e: Access, at: At) -> int:
    info = m.program.tensors.get(e.tensor)
    places = tuple(m.position(s, at) for s in e.subs)
    if info is not None and any(not 0 <= p < m.length(i) for p, i in zip(places, info.indices, strict=True)):
        raise NoValueError("outside an axis")
    if info is not None and info.kind == "label" and e.tensor in m.inputs:
        return int(m.label(e, at) or 0)
    statement = m.statements.get(e.tensor)
    if statement is not None:
        inner = dict(zip(statement.indices, places, strict=True))
        return int(m.holds(statement.value, inner)) if statement.kind == "bool" else m.value(statement.value, inner)
    if e.tensor in m.constants:
        constant = m.constants[e.tensor]
        flat = 0
        for place, index in zip(places, constant.indices, strict=True):
            flat = flat * m.length(index) + place
        return rational(constant.values[flat])
    item = m.inputs.get(e.tensor)
    if item is not None and item.structure != "general":
        return _structured(m, e.tensor, item.structure, places)
    value = atom(m.seed, e.tensor, *places)
    return value * value % PRIME if item is not None and item.domain in ("positive", "unit", "simplex") else value


def _structured(m: Modular, tensor: str, structure: str, places: tuple[int, ...]) -> int:
    *batch, row, column = places
    zero = {"lower": row < column, "upper": row > column, "diagonal": row != column}
    if zero.get(structure, False):
        return 0
    pair = sorted((row, column)) if structure == "symmetric" else (row, column)
    return atom(m.seed, tensor, *batch, *pair)


def _mul(m: Modular, e: Mul, at: At) -> int:
    if any(isinstance(f, Iverson) and not m.holds(f.condition, at) for f in e.factors):
        return 0  # nothing of the product is read
    result = 1
    for factor in e.factors:
        if not isinstance(factor, Iverson):
            result = result * m.value(factor, at) % PRIME
    return result


def _pow(m: Modular, e: Pow, at: At) -> int:
    base = m.value(e.base, at)
    exponent = number(e.exponent)
    if exponent is None:
        exponent = m.exact(e.exponent, at)
    if exponent is None:
        return m.atom("pow", base, m.value(e.exponent, at))
    if exponent.denominator == 1:
        return integer_power(base, int(exponent))
    whole = exponent.numerator // exponent.denominator
    rest = exponent - whole
    fraction = root(base) if rest == Fraction(1, 2) else m.atom("pow", base, rest.numerator, rest.denominator)
    return integer_power(base, whole) * fraction % PRIME


def _apply(m: Modular, e: Apply, at: At) -> int:
    if e.function in _BY_EXPONENTIAL:
        return _BY_EXPONENTIAL[e.function](m, e.args[0], at, *e.args[1:])
    if e.function == "softplus" and number(e.args[-1]) == 1:
        return m.logarithm((1 + m.exponential(e.args[0], at)) % PRIME)
    args = [m.value(a, at) for a in e.args]
    law = _FUNCTIONS.get(e.function)
    return law(m, *args) if law else m.atom(e.function, *args)


def _larger(m: Modular, a: int, b: int) -> int:
    difference = (a - b) % PRIME
    return a if sign(difference) >= 0 else b


def _sigmoid(m: Modular, z: Expr, at: At) -> int:
    return reciprocal(1 + m.exponential(z, at, Fraction(-1)))


def _elu(m: Modular, z: Expr, at: At, scale: Expr) -> int:
    value = m.value(z, at)
    return value if sign(value) > 0 else m.value(scale, at) * (m.exponential(z, at) - 1)


def _tanh(m: Modular, z: Expr, at: At) -> int:
    double = m.exponential(z, at, Fraction(2))
    return (double - 1) * reciprocal(double + 1)


def _cosh(m: Modular, z: Expr, at: At) -> int:
    """`(e^z + e^-z)/2`"""
    one = m.exponential(z, at)
    return (one + reciprocal(one)) * reciprocal(2)


def _moment(m: Modular, order: Expr, at: At, z: Expr) -> int:
    """`M_n = (e^z - n M_(n-1))/z`, `M_0 = (e^z - 1)/z`"""
    top, below = m.exponential(z, at), reciprocal(m.value(z, at))
    value = (top - 1) * below
    for n in range(1, int(number(order) or 0) + 1):
        value = (top - n * value) * below % PRIME
    return value


def _relative(m: Modular, order: Expr, at: At, z: Expr) -> int:
    """`phi_n = (phi_(n-1) - 1/(n-1)!)/z`, `phi_0 = e^z`"""
    value, below = m.exponential(z, at), reciprocal(m.value(z, at))
    factorial = 1
    for n in range(1, int(number(order) or 0) + 1):
        value = (value - reciprocal(factorial)) * below % PRIME
        factorial = factorial * n % PRIME
    return value


_BY_EXPONENTIAL: dict[str, Callable[..., int]] = {
    "elu": _elu,
    "complex_exp": lambda m, z, at: m.exponential(z, at),
    "exp": lambda m, z, at: m.exponential(z, at),
    "expm1": lambda m, z, at: m.exponential(z, at) - 1,
    "log": lambda m, z, at: m.log_of(z, at),
    "log1p": lambda m, z, at: m.logarithm((1 + m.value(z, at)) % PRIME),
    "sigmoid": _sigmoid,
    "logsigmoid": lambda m, z, at: -m.logarithm((1 + m.exponential(z, at, Fraction(-1))) % PRIME),
    "silu": lambda m, z, at: m.value(z, at) * _sigmoid(m, z, at),
    "tanh": _tanh,
    "cosh": _cosh,
    "sinh": lambda m, z, at: _cosh(m, z, at) * _tanh(m, z, at),
    "sech": lambda m, z, at: reciprocal(_cosh(m, z, at)),
    "sech_squared": lambda m, z, at: reciprocal(_cosh(m, z, at)) ** 2,
    "log_cosh": lambda m, z, at: m.logarithm(_cosh(m, z, at) % PRIME),
    "log1mexp": lambda m, z, at: m.logarithm((1 - m.exponential(z, at)) % PRIME),
    "exp_moment": _moment,
    "exprel": _relative,
    "exp_tail": lambda m, z, at: m.exponential(z, at) - 1 - m.value(z, at),
}


def _erf(m: Modular, z: int) -> int:
    """An odd function."""
    return sign(z) * m.atom("erf", sign(z) * z % PRIME)


def _sinc(m: Modular, order: int, z: int) -> int:
    return m.atom("sin", z) * reciprocal(z) if order == 0 else m.atom("spherical_bessel", order, z)


_FUNCTIONS: dict[str, Callable[..., int]] = {
    "sqrt": lambda m, z: root(z),
    "rsqrt": lambda m, z: reciprocal(root(z)),
    "square": lambda m, z: z * z,
    "reciprocal": lambda m, z: reciprocal(z),
    "abs": lambda m, z: sign(z) * z,
    "sign": lambda m, z: sign(z),
    "relu": lambda m, z: z if sign(z) > 0 else 0,
    "max": _larger,
    "erf": _erf,
    "erfc": lambda m, z: 1 - _erf(m, z),
    "min": lambda m, a, b: a + b - _larger(m, a, b),
    "spherical_bessel": _sinc,
    "clip_gradient": lambda m, z, *_: z,
    # The field has no automorphism but the identity: here every number is real, and i is 0.
    "conj": lambda m, z: z,
    "real": lambda m, z: z,
    "imag": lambda m, z: 0,
    "complex": lambda m, re, im: re,
}


def _sum(m: Modular, e: Sum, at: At) -> int:
    return sum(m.value(e.body, place) for place in m.places(e.indices, at))


def _reduce(m: Modular, e: Reduce, at: At) -> int:
    if e.kind in ("any", "all"):
        return int(m.holds(e, at))
    if e.kind == "logsumexp":
        return m.logarithm(sum(m.exponential(e.body, place) for place in m.places(e.indices, at)) % PRIME)
    values = [m.value(e.body, place) for place in m.places(e.indices, at)]
    if e.kind == "norm":
        return root(sum(v * v for v in values) % PRIME)
    if e.kind == "prod":
        return _product(values)
    # Which of the values is largest has no meaning here: one of them, whatever their order.
    chosen = sorted(values)
    return chosen[m.atom(e.kind, *chosen) % len(chosen)]


def _product(values: Iterable[int]) -> int:
    result = 1
    for value in values:
        result = result * value % PRIME
    return result


def _scan(m: Modular, e: Scan, at: At) -> int:
    here = m.value(e.body, at)
    if e.kind == "softmax":
        total = sum(m.exponential(e.body, place) for place in m.places(e.indices, at)) % PRIME
        return m.exponential(e.body, at) * reciprocal(total)
    if e.kind == "log_softmax":
        return here - m.row_logarithm(e, at)
    if e.kind == "prod_others":
        others = (place for place in m.places(e.indices, at) if any(place[i] != at[i] for i in e.indices))
        return _product(m.value(e.body, place) for place in others)
    (index,) = e.indices
    line = [m.value(e.body, place) for place in m.places(e.indices, at)]
    if e.kind == "cumsum":
        return sum(line[: at[index] + 1])
    if e.kind == "flip":
        return line[len(line) - 1 - at[index]]
    return m.atom(e.kind, at[index], *line)


def _linalg(m: Modular, e: Linalg, at: At) -> int:
    rows, cols = list(m.places(e.rows, at)), list(m.places(e.cols, at))
    matrix = [[m.value(e.matrix, {**at, **row, **_only(col, e.cols)}) for col in cols] for row in rows]
    if e.kind in ("det", "logdet", "slogdet_sign"):
        value = determinant(matrix)
        return value if e.kind == "det" else sign(value) if e.kind == "slogdet_sign" else m.logarithm(value)
    row, column = _place(rows, e.rows, e, at), _place(cols, e.cols, e, at)
    if e.kind in ("matrix_exp", "exp_change"):
        return _series(m, e, matrix, at)[row][column]
    if e.kind not in ("inverse", "solve"):  # a function of which nothing is known
        numbers = [at[i] for i in e.number]
        return m.atom(e.kind, row, column, *numbers, *(entry for entries in matrix for entry in entries))
    inverse = inverse_matrix(matrix)
    if e.rhs is None:
        return inverse[column][row]
    return sum(inverse[column][n] * m.value(e.rhs, row) for n, row in enumerate(rows))


def _place(places: list[At], own: tuple[Index, ...], e: Linalg, at: At) -> int:
    """Which row or column is meant: the first where they are bound."""
    kept = [i for i in own if i not in e.bound]
    return next(n for n, place in enumerate(places) if all(place[i] == at[i] for i in kept))


def _series(m: Modular, e: Linalg, matrix: Matrix, at: At) -> Matrix:
    """sum_k c[k] M^k with coefficients of which nothing is known, or its change by the change of M."""
    size = len(matrix)
    total = change = [[0] * size for _ in range(size)]
    step = total
    if e.rhs is not None:
        places = m.places(e.rows, at), list(m.places(e.cols, at))
        step = [[m.value(e.rhs, {**at, **row, **_only(col, e.cols)}) for col in places[1]] for row in places[0]]
    power = [[int(n == k) for k in range(size)] for n in range(size)]
    for k in range(4):
        coefficient = m.atom("matrix_exp", k)
        term = power if e.rhs is None else change
        total = [[(a + coefficient * b) % PRIME for a, b in zip(*pair)] for pair in zip(total, term, strict=True)]
        if e.rhs is not None:  # d(M^k M) = d(M^k) M + M^k dM
            first, second = matrix_product(change, matrix), matrix_product(power, step)
            change = [[(a + b) % PRIME for a, b in zip(*pair)] for pair in zip(first, second, strict=True)]
        power = matrix_product(power, matrix)
    return total


def _only(place: At, indices: tuple[Index, ...]) -> At:
    return {i: place[i] for i in indices}


def _root(m: Modular, e: Root, at: At) -> int:
    """An atom of the equation and of all that its inputs are."""
    entries: list[int] = []
    for item, arg in zip(e.problem.program.inputs, e.args, strict=True):
        entries += [m.value(arg, place) for place in m.places(item.indices, {})]
    names = [item.name for item in e.problem.program.inputs]
    head = f"root {e.problem.solver} {names} {key(e.problem.residual.value)}"
    return m.atom(head, *(m.position(sub, at) for sub in e.subs), *entries)


def _levi_civita(m: Modular, e: LeviCivita, at: At) -> int:
    result = 1
    places = [at[i] for i in e.subs]
    for n, place in enumerate(places):
        for earlier in places[:n]:
            result *= (place > earlier) - (place < earlier)
    return result


RULES |= {
    Const: lambda m, e, at: rational(e.value),
    Special: lambda m, e, at: pow(m.atom(e.name), 2, PRIME),
    Param: lambda m, e, at: INT_PARAM if e.kind == "int" else m.atom("param " + e.name),
    Extent: lambda m, e, at: int(m.exact(e, at) or 0),
    Position: lambda m, e, at: at[e.index],
    Access: _access,
    Delta: lambda m, e, at: int(m.position(e.left, at) == m.position(e.right, at)),
    LeviCivita: _levi_civita,
    Add: lambda m, e, at: sum(m.value(t, at) for t in e.terms),
    Mul: _mul,
    Pow: _pow,
    Apply: _apply,
    Compare: lambda m, e, at: int(m.holds(e, at)),
    Logic: lambda m, e, at: int(m.holds(e, at)),
    Iverson: lambda m, e, at: int(m.holds(e.condition, at)),
    Where: lambda m, e, at: m.value(e.then if m.holds(e.condition, at) else e.other, at),
    Sum: _sum,
    Reduce: _reduce,
    Scan: _scan,
    Linalg: _linalg,
    Root: _root,
}
