"""Switches every test runs under: shapes checked, warnings and rank promotion are errors, four devices."""

import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

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
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_threefry_partitionable", True)

# Must run before any module of the package is imported.
install_import_hook("ctc_jax", "beartype.beartype")

# Every program that was compiled holds some memory maps of its process, and Linux grants it 65,530 in all. The whole
# suite needs more than that in one process, and XLA then dies of a segmentation fault instead of an error.
MAPS_BEFORE_PROGRAMS_ARE_FORGOTTEN = 16_000


@pytest.fixture(scope="module", autouse=True)
def _forget_programs() -> Iterator[None]:
    """Drops compiled programs after a file of tests that leaves too many of them behind."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MAPS_BEFORE_PROGRAMS_ARE_FORGOTTEN:
        jax.clear_caches()
