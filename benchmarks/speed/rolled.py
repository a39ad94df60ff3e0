"""A deep top-down VAE with the blocks of a resolution in a loop and one by one: compilation, program and time of the
gradient of its bound. At most ten minutes.

Compilation is told in processor time, which a busy machine does not change much; the compilation cache is off.
"""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.timing import median_ms, ratio, take_turns
from configs import cifar_top_down
from ctc_jax import training
from ctc_jax.data import Batch
from ctc_jax.models import ChainModel, ImageSpace

SPACE = ImageSpace((32, 32, 3), 8, 10)


class Gradient:
    """The compiled gradient of the bound of a batch, and what it took to compile it.

    Attributes:
      lines: of the program before XLA's optimization.
      tracing_seconds: processor time of tracing and lowering.
      compile_seconds: processor time of XLA.
      mib: memory beside arguments and results, as XLA plans it.
    """

    def __init__(self, model: ChainModel, batch_size: int):
        def loss(params: Any, key: Any, batch: Batch) -> Any:
            bound = model.bound(params, key, batch)
            return -jnp.mean(bound.log_likelihood - sum(bound.kl.values()))

        image = jnp.zeros((batch_size, *SPACE.shape), jnp.uint8)
        # Parameters of zeros: what a program takes does not depend on them, and making random ones compiles for long.
        params = jax.tree.map(lambda of: jnp.zeros(of.shape, of.dtype), jax.eval_shape(model.init, jax.random.key(0)))
        self.arguments = params, jax.random.key(1), Batch(image, jnp.zeros(batch_size, jnp.int32))
        start = time.process_time()
        lowered = jax.jit(jax.grad(loss)).lower(*self.arguments)
        self.tracing_seconds, start = time.process_time() - start, time.process_time()
        self.lines = lowered.as_text().count("\n")
        self.compiled = lowered.compile()
        self.compile_seconds = time.process_time() - start
        self.mib = self.compiled.memory_analysis().temp_size_in_bytes / 2**20

    def __call__(self, count: int) -> None:
        """Computes it so many times."""
        for _ in range(count):
            jax.block_until_ready(self.compiled(*self.arguments))


def main() -> None:
    """Compiles both, then takes turns."""
    flags = parser(__doc__, "rolled")
    flags.add_argument("--decoder", default="4x1,8x8,16x12", help="model.top_down.decoder")
    flags.add_argument("--encoder", default="4x1,8x8,16x12", help="model.top_down.encoder")
    flags.add_argument("--width", type=int, default=32, help="model.width")
    flags.add_argument("--batch_size", type=int, default=4)
    flags.add_argument("--rounds", type=int, default=5)
    flags.add_argument("--turn_seconds", type=float, default=1.0)
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    config = cifar_top_down.get_config("cpu")
    changes = {"decoder": arguments.decoder, "encoder": arguments.encoder}
    config.update_from_flattened_dict({f"model.top_down.{key}": value for key, value in changes.items()})
    config.model.width = arguments.width
    model = training.build_model(config, SPACE)
    gradients = {
        name: Gradient(dataclasses.replace(model, network=model.network.clone(rolled=rolled)), arguments.batch_size)
        for name, rolled in (("one by one", False), ("in a loop", True))
    }
    times = take_turns(gradients, rounds=arguments.rounds, seconds=arguments.turn_seconds)
    reference = gradients["one by one"]
    rows = [
        {
            "blocks": name,
            "program_lines": one.lines,
            "tracing_seconds": one.tracing_seconds,
            "compilation_seconds": one.compile_seconds,
            "compilation, ratio to one by one": one.compile_seconds / reference.compile_seconds,
            "memory_mib": one.mib,
            "gradient_ms": median_ms(times[name]),
            "gradient, ratio to one by one": ratio(times[name], times["one by one"]).median,
        }
        for name, one in gradients.items()
    ]
    notes = [
        f"{len(model.latents)} latents: decoder `{arguments.decoder}`, encoder `{arguments.encoder}`, width "
        f"{arguments.width}, {arguments.batch_size} images, on the backend {jax.default_backend()}. A loop is what "
        "accelerators take; CPUs take blocks one by one, for XLA's CPU backend runs wide convolutions slowly in loops."
    ]
    write(arguments.output, "Equal blocks in a loop", {"": rows}, notes)


if __name__ == "__main__":
    main()
