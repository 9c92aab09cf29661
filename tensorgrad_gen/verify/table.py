"""The table of checks: what `verify` shows for each op, by section of the contract."""

from __future__ import annotations

from tensorgrad_gen.verify import (
    checks_compile,
    checks_devices,
    checks_dtypes,
    checks_func,
    checks_gradcheck,
    checks_inputs,
    checks_values,
)
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
    # `apply` has the public function's outputs and more, so quick runs are content with it.
    Check("gradgradcheck", 3, checks_gradcheck.gradgradcheck_op, quick=False),
    Check("gradgradcheck of apply", 3, checks_gradcheck.gradgradcheck_raw),
    Check("grad, vjp, jacrev", 4, checks_func.reverse),
    Check("jvp, jacfwd", 4, checks_func.forward),
    Check("hessians", 4, checks_func.second),
    Check("vmap", 4, checks_func.vmap),
    Check("vmap of transforms", 4, checks_func.vmap_of_transforms, quick=False),
    Check("batched gradients", 4, checks_func.batched_gradients, quick=False),
    Check("subsets", 5, checks_inputs.subsets),
    Check("extents 0 and 1", 5, checks_inputs.edges),
    Check("same tensor twice", 5, checks_inputs.same_twice),
    Check("layouts", 5, checks_inputs.layouts),
    Check("change in place", 5, checks_inputs.in_place),
    Check("no alias", 5, checks_inputs.no_alias),
    Check("arguments unchanged", 5, checks_inputs.unchanged),
    Check("float32", 6, checks_dtypes.float32),
    Check("bfloat16", 6, checks_dtypes.bfloat16),
    Check("float16", 6, checks_dtypes.float16),
    Check("tangents in bfloat16", 6, checks_dtypes.tangents),
    Check("mixed dtypes", 6, checks_dtypes.mixed),
    Check("integer labels", 6, checks_dtypes.labels),
    Check("autocast", 6, checks_dtypes.autocast),
    Check("extreme inputs", 6, checks_dtypes.extremes),
    Check("no_grad, inference_mode", 7, checks_compile.no_grad_modes),
    Check("checkpoint", 7, checks_compile.checkpoint),
    Check("pickle, deepcopy", 7, checks_compile.copies),
    Check("operator", 7, checks_compile.operator),
    Check("compile, eager", 7, checks_compile.traced, quick=False),
    Check("compile, aot_eager", 7, checks_compile.aot_eager, quick=False),
    Check("compile, dynamic", 7, checks_compile.aot_eager_dynamic, quick=False),
    Check("compile, Inductor", 7, checks_compile.inductor, quick=False),
    Check("compile of transforms", 7, checks_compile.compiled_transforms, quick=False),
    Check("compiled autograd", 7, checks_compile.compiled_autograd, quick=False),
    Check("export", 7, checks_compile.export, quick=False),
    Check("another device", 8, checks_devices.make_believe),
)
