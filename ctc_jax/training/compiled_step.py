"""Training steps compiled ahead, and refused where they do not fit. Tests: tests/training/test_compiled_step.py."""

import os
from typing import Any

import jax

from ctc_jax.data import Batch
from ctc_jax.errors import UserError
from ctc_jax.objectives import Metrics
from ctc_jax.training.step import TrainState, TrainStep


class CompiledStep:
    """`step`, compiled once for each number of steps in a call; a state handed to it is donated.

    A program that needs more memory than there is would end in a failed allocation in the midst of it, or on a CPU in
    the kernel's killing the process. XLA's own plan of it is known before it runs.

    Args:
      step: of training.
      sharding: of the state, which steps keep to.
    """

    def __init__(self, step: TrainStep, sharding: Any):
        self._step = jax.jit(step, donate_argnums=0, out_shardings=(sharding, None))
        self._compiled: dict[int, jax.stages.Compiled] = {}

    def __call__(self, state: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
        """As many steps as `batches` holds.

        Raises:
          UserError: they need more memory than there is.
        """
        return self.compiled(state, batches)(state, batches)

    def compiled(self, state: TrainState, batches: Batch) -> jax.stages.Compiled:
        """The program of as many steps as `batches` holds; of both the shapes, types and shardings are enough.

        Raises:
          UserError: they need more memory than there is.
        """
        count = len(batches.label)
        if count not in self._compiled:
            compiled = self._step.lower(state, batches).compile()
            if plan := compiled.memory_analysis():  # None where a backend has no such plan
                check_memory(plan.temp_size_in_bytes, device_memory())
            self._compiled[count] = compiled
        return self._compiled[count]


def check_memory(needed: int, available: int) -> None:
    """Refuses a step that does not fit.

    Args:
      needed: bytes on a device, beside the state.
      available: bytes of a device.

    Raises:
      UserError: there are fewer than are needed.
    """
    if needed > available:
        raise UserError(
            f"a training step needs {needed / 2**30:,.1f} GiB on a device that has {available / 2**30:,.1f} GiB; lower "
            "train.batch_size, or the samples of the objective or the estimator"
        )


def device_memory() -> int:
    """Bytes that a device may use; those of a CPU share the machine's."""
    device = jax.local_devices()[0]
    if limit := (device.memory_stats() or {}).get("bytes_limit"):
        return limit
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // len(jax.local_devices())
