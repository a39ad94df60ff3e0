"""A thousand steps on CIFAR-10 by the published optimizer of the very deep VAE: is a number not finite, a step skipped?

The preset `published` of configs/cifar_top_down.py with fewer channels and blocks, and all else as it is: learning
rate, warm-up, betas, decay, clipping, batch. Five minutes on a core of one's own.
Tests: tests/benchmarks/bounds/test_published_rate.py.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Num

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.results import parser, write
from benchmarks.harness.trainer import Trainer
from configs import cifar_top_down
from ctc_jax.evaluation import bits_per_dimension

LAST = 100  # steps over which the bound is averaged


def figures(metrics: Mapping[str, Num[np.ndarray, " steps"]], shape: tuple[int, int, int]) -> dict[str, Any]:
    """What is said of so many steps.

    Args:
      metrics: of each step.
      shape: of an image.
    """
    finite = np.all([np.isfinite(values) for values in metrics.values()], axis=0)
    skipped, norms = metrics["skipped_share"] > 0, metrics["gradient_norm"][finite] / np.prod(shape)
    return {
        "steps": len(finite),
        "not finite": int(np.sum(~finite)),
        "skipped": int(np.sum(skipped)),
        "first skipped": int(np.argmax(skipped)) + 1 if skipped.any() else None,
        "median norm": float(np.median(norms)),
        "largest norm": float(np.max(norms)),
        "first bound_bpd": bits_per_dimension(float(metrics["elbo_nats"][0]), shape),
        "last bound_bpd": bits_per_dimension(float(np.mean(metrics["elbo_nats"][finite][-LAST:])), shape),
    }


def main() -> None:
    """Trains, and says what happened."""
    flags = parser(__doc__, "published_rate")
    flags.add_argument("--steps", type=int, default=1_000)
    flags.add_argument("--learning_rates", type=float, nargs="+", default=[2e-4], help="the published one is 2e-4")
    flags.add_argument("--decoder", default="1x1,4x2,8x4,16x6", help="model.top_down.decoder")
    flags.add_argument("--encoder", default="1x1,4x2,8x2,16x3", help="model.top_down.encoder")
    flags.add_argument("--width", type=int, default=32, help="model.width and model.features")
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    smaller = {
        "model.width": arguments.width,
        "model.features": arguments.width,
        "model.top_down.decoder": arguments.decoder,
        "model.top_down.encoder": arguments.encoder,
    }
    rows = []
    for rate in arguments.learning_rates:
        config = cifar_top_down.get_config("published")
        config.update_from_flattened_dict({**smaller, "train.learning_rate": rate, "train.cpu_devices": 1})
        trainer, measured = Trainer(config), []
        while trainer.step < arguments.steps:
            measured += jax.device_get(trainer.advance(max(1, 100 // trainer.count)))
            print(f"rate {rate:g}, step {trainer.step:,}: loss {measured[-1]['loss_nats'][-1]:,.1f} nats", flush=True)
        metrics = {name: np.concatenate([of[name] for of in measured]) for name in measured[0]}
        kept = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(trainer.state.params)))
        row = figures(metrics, trainer.experiment.model.image_shape)
        parameters = {"parameters": trainer.parameters, "all finite": "yes" if kept else "no"}
        rows.append({"learning rate": f"{rate:g}", **parameters, **row})
    notes = [
        f"configs/cifar_top_down.py:published with {', '.join(f'{key}={value}' for key, value in smaller.items())}. "
        "A norm is that of the whole gradient of the loss in nats a dimension, as published, where 200 is clipped to. "
        f"Bounds are of training batches, the last of the mean over {LAST} steps."
    ]
    write(arguments.output, "A thousand steps at the published learning rate", {"": rows}, notes)


if __name__ == "__main__":
    main()
