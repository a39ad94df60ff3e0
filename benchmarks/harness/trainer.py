"""Our side of a comparison: training steps as the loop takes them, data included. Run as a module, the worker timed."""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import jax
from ml_collections import ConfigDict

from benchmarks.harness.worker import serve
from ctc_jax import training
from ctc_jax.cli.modes import use_compilation_cache
from ctc_jax.models import Model
from ctc_jax.training.host_cores import use_host_cores
from ctc_jax.training.host_memory import keep_host_memory
from ctc_jax.training.loop import CALLS_AHEAD


class Trainer:
    """A run in memory: the experiment of a config, its state, and the steps done.

    Args:
      config: the whole config.
      steps_per_call: steps in one dispatch; 0 is the backend's own number.
      change: of the config's model into another that is trained in its place; None keeps it.
    """

    def __init__(self, config: ConfigDict, steps_per_call: int = 0, change: Callable[[Model], Model] | None = None):
        # As the launcher does. The first trainer of a process decides the number of CPU devices.
        use_compilation_cache()
        keep_host_memory()
        use_host_cores(config.train.cpu_devices, config.train.batch_size)
        self.config = config
        self.experiment = training.build(config)
        if change is not None:
            model = change(self.experiment.model)
            step = dataclasses.replace(self.experiment.step, model=model)
            self.experiment = dataclasses.replace(self.experiment, model=model, step=step)
        self.count = steps_per_call or self.experiment.steps_per_call
        sharding = self.experiment.sharding
        self.call = jax.jit(self.experiment.step, donate_argnums=0, out_shardings=(sharding, None))
        self.state = jax.jit(self.experiment.step.init, out_shardings=sharding)()
        self.step = 0

    def advance(self, calls: int) -> list[dict[str, jax.Array]]:
        """Takes `calls` dispatches of `count` steps, as far ahead of the device as the loop; waits at the end."""
        metrics = []
        for _ in range(calls):
            self.state, measured = self.call(self.state, self.experiment.stream(self.step, self.count))
            self.step += self.count
            metrics.append(measured)
            if len(metrics) > CALLS_AHEAD:
                jax.block_until_ready(metrics[-1 - CALLS_AHEAD])
        jax.block_until_ready(self.state)
        return metrics

    def buffers_mib(self) -> float:
        """What a dispatch needs beside its arguments and results, as XLA plans it, on each device; compiles again."""
        planned = self.call.lower(self.state, self.experiment.stream(self.step, self.count)).compile()
        return planned.memory_analysis().temp_size_in_bytes / 2**20

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.state.params))


def main() -> None:
    """Trains at the command of `throughput.py`: the argument is a directory."""
    trainer = Trainer(ConfigDict(json.loads((Path(sys.argv[1]) / "config.json").read_text())))

    def report() -> dict[str, float]:
        memory = jax.devices()[0].memory_stats() or {}
        known = {"device_mib": memory["peak_bytes_in_use"] / 2**20} if "peak_bytes_in_use" in memory else {}
        return {"steps_per_call": trainer.count, **known}

    serve(trainer.advance, report)


if __name__ == "__main__":
    main()
