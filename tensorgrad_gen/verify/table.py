"""The table of checks: what `verify` shows for each op, by section of the contract."""

from __future__ import annotations

from tensorgrad_gen.verify import checks_gradcheck, checks_inputs, checks_values
from tensorgrad_gen.verify.model import Check

SECTIONS = {
    1: "values and first derivatives",
    2: "finite differences",
    3: "second derivatives",
    4: "torch.func",
    5: "inputs",
    6: "dtypes",
    7: "compile and copy",
    8: "devices",
}

CHECKS = (
    Check("value", 1, checks_values.value),
    Check("vjp", 1, checks_values.vjp),
    Check("gradcheck", 2, checks_gradcheck.gradcheck_op),
    Check("gradcheck of apply", 2, checks_gradcheck.gradcheck_raw),
    Check("higher orders", 3, checks_gradcheck.higher_orders),
    Check("gradgradcheck", 3, checks_gradcheck.gradgradcheck_op),
    Check("gradgradcheck of apply", 3, checks_gradcheck.gradgradcheck_raw),
    Check("subsets", 5, checks_inputs.subsets),
    Check("extents 0 and 1", 5, checks_inputs.edges),
    Check("same tensor twice", 5, checks_inputs.same_twice),
    Check("layouts", 5, checks_inputs.layouts),
    Check("change in place", 5, checks_inputs.in_place),
    Check("no alias", 5, checks_inputs.no_alias),
    Check("arguments unchanged", 5, checks_inputs.unchanged),
)
