"""Switches every test runs under: shapes checked, warnings and rank promotion are errors, four devices."""

import os
from importlib.metadata import version

# Programs of tests run once or a few times: most of their time is compilation, and most of that optimization and, where
# it can still be switched off, the newer way of emitting fusions. Processes that tests start inherit it.
os.environ["XLA_FLAGS"] = " ".join(
    [
        *os.environ.get("XLA_FLAGS", "").split(),
        "--xla_backend_optimization_level=0",
        *(["--xla_cpu_use_fusion_emitters=false"] if version("jaxlib").startswith("0.10.") else []),
    ]
)

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_threefry_partitionable", True)

# Must run before any module of the package is imported.
install_import_hook("ctc_jax", "beartype.beartype")
