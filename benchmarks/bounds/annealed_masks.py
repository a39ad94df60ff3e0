"""Annealed importance sampling of a code of masks times values: what temperatures and windows buy, by the distance of
both bounds on the model's own images; six minutes on one core, with the training.

The run is made by launch.py, resumed when broken off, reused when finished. Further arguments go to launch.py.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.finished_runs import finish
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.results import parser, write
from ctc_jax.data import Batch
from ctc_jax.inference import Annealed, AnnealingOptions, annealed, bracketed, tuned_steps
from ctc_jax.run import Run

MASKS, ALTERNATIVES = 10, 4
CONFIG = (
    f"configs/mnist_ctc_latents.py,model.latents={MASKS},model.mask_vae.categories={ALTERNATIVES},train.steps=3000,"
    "train.learning_rate=2e-3,train.evaluate_every=1500,train.checkpoint_every=1500,evaluate.importance_samples=200"
)


def measured(run: Run, images: int, options: AnnealingOptions) -> dict[str, float]:
    """The figures of one setting, on so many test images and images of the model's own."""
    shown = run.dataset.test.images[:images]
    batch = Batch(jnp.asarray(shown), jnp.zeros(len(shown), jnp.int32))
    key_tune, key_real, key_own = jax.random.split(jax.random.key(run.config.seed), 3)
    steps = tuned_steps(run.model, run.params, key_tune, batch, options)
    real = annealed(run.model, run.params, key_real, batch, options, steps)
    own = bracketed(run.model, run.params, key_own, images, options)
    return row(options, real.lower, *own)


def row(options: AnnealingOptions, lower: np.ndarray, forward: Annealed, reverse: Annealed) -> dict[str, float]:
    """The bound of test images, and the distance of the model's own images' bounds with its standard error, nats."""
    gap = reverse.upper - forward.lower
    return {
        "temperatures": options.temperatures,
        "windows": options.windows or MASKS,
        "lower bound, test images_nats": float(lower.mean()),
        "upper less lower, own images_nats": float(gap.mean()),
        "its error_nats": float(gap.std(ddof=1) / len(gap) ** 0.5),
        "accepted": float(forward.acceptance.mean()),
    }


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "annealed_masks")
    flags.add_argument("--images", type=int, default=16)
    flags.add_argument("--chains", type=int, default=4)
    flags.add_argument("--temperatures", type=int, nargs="+", default=[200, 1_000])
    flags.add_argument("--windows", type=int, nargs="+", default=[2, 0], help="a transition visits; 0 is all")
    flags.add_argument("--importance_samples", type=int, default=5_000)
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks", help="directory of the runs")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    run = finish(CONFIG, arguments.workdirs, overrides)
    images = run.dataset.test.images[: arguments.images]
    bound = run.log_likelihood(images, importance_samples=arguments.importance_samples).mean()
    settings = [
        AnnealingOptions(temperatures=temperatures, chains=arguments.chains, leapfrogs=5, windows=windows)
        for temperatures in arguments.temperatures
        for windows in arguments.windows
    ]
    write(
        arguments.output,
        "Annealed importance sampling of masks times values, binarized MNIST",
        {"": [measured(run, arguments.images, options) for options in settings]},
        [
            f"{MASKS} one-hot masks over {ALTERNATIVES} alternatives, linear networks; one seed. {arguments.images} "
            f"test images and as many of the model's own, {arguments.chains} chains an image, 5 leapfrogs a "
            "transition, step sizes tuned. A window costs an evaluation of the model for each other alternative. The "
            f"importance bound of the same test images with {arguments.importance_samples:,} samples is {bound:.2f} "
            "nats."
        ],
    )


if __name__ == "__main__":
    main()
