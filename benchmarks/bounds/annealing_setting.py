"""The setting of Geffner and Domke (2021): the ELBO, importance weighting and uncorrected Hamiltonian annealing on one
network, by their bounds and by annealed importance sampling; about three hours on one core.

Runs are made by launch.py, resumed when broken off, reused when finished. Further arguments go to launch.py.
"""

import os
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from benchmarks.harness.finished_runs import finish, last, training_figures
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.results import parser, write
from ctc_jax import inference
from ctc_jax.data import Batch
from ctc_jax.run import Run

CONFIG = "configs/mnist_annealing.py"


class Published(NamedTuple):
    """What the paper has (read in the source), nats.

    Attributes:
      elbo: minus the test bound.
      log_likelihood: minus log p(x) by annealed importance sampling.
    """

    elbo: float
    log_likelihood: float


# Presets, and how many samples of an image their bound takes.
ROWS = {
    "elbo": (1, Published(93.4, 88.5)),
    "importance": (8, Published(90.5, 87.6)),
    "annealed": (1, Published(89.8, 87.5)),
}


def row(preset: str, run: Run, importance_samples: int, images: int, options: inference.AnnealingOptions) -> dict:
    """The figures of one run.

    Annealed importance sampling of few images has a large error, because some digits are harder than others. Its
    difference from the importance bound of the same images has a small one: the bound of all images, and this
    difference of few, are the log-likelihood.
    """
    samples, published = ROWS[preset]
    test = run.dataset.test
    pixels, labels = np.asarray(test.images), np.asarray(test.labels)
    if samples == 1:
        bound = last(run, "test")["elbo_nats"]
    else:
        bound = float(np.mean(run.log_likelihood(pixels, labels, importance_samples=samples)))
    importance = np.float64(run.log_likelihood(pixels, labels, importance_samples=importance_samples))
    few = Batch(jax.numpy.asarray(pixels[:images]), jax.numpy.asarray(labels[:images], jax.numpy.int32))
    key = jax.random.key(run.config.seed)
    steps = inference.tuned_steps(run.model, run.params, key, few, options)
    found = inference.annealed(run.model, run.params, key, few, options, steps)
    difference = found.lower - importance[:images]
    log_likelihood = float(np.mean(importance) + np.mean(difference))
    return {
        "preset": preset,
        "samples or bridges": 8 if preset != "elbo" else 1,
        "bound_nats": bound,
        "published bound_nats": -published.elbo,
        "bound less published_nats": bound + published.elbo,
        "importance bound_nats": float(np.mean(importance)),
        "annealed less importance bound_nats": float(np.mean(difference)),
        "its error_nats": float(np.std(difference, ddof=1) / len(difference) ** 0.5),
        "log-likelihood_nats": log_likelihood,
        "published log-likelihood_nats": -published.log_likelihood,
        "log-likelihood less published_nats": log_likelihood + published.log_likelihood,
        "accepted": float(np.mean(found.acceptance)),
        **training_figures(run),
    }


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "annealing_setting")
    flags.add_argument("--presets", nargs="+", default=list(ROWS), choices=list(ROWS))
    flags.add_argument("--images", type=int, default=200, help="of annealed importance sampling")
    flags.add_argument("--temperatures", type=int, default=2_000, help="the paper has 2,000")
    flags.add_argument("--importance_samples", type=int, default=1_000)
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks", help="directory of the runs")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    # The paper's own step size, held.
    options = inference.AnnealingOptions(arguments.temperatures, chains=1, leapfrogs=16, step_size=0.06, tuned=False)
    start = finish(CONFIG, arguments.workdirs, overrides)
    # launch.py runs in ROOT; a path from there is the same wherever the repository lies.
    further = [*overrides, f"--config.train.start_from={os.path.relpath(start.workdir, ROOT)}"]
    runs = {preset: finish(f"{CONFIG}:{preset}", arguments.workdirs, further) for preset in arguments.presets}
    shared = (arguments.importance_samples, arguments.images, options)
    rows = [row(preset, run, *shared) for preset, run in runs.items()]
    start_figures = {"preset": "", "bound_nats": last(start, "test")["elbo_nats"], **training_figures(start)}
    write(
        arguments.output,
        "The setting of uncorrected Hamiltonian annealing, binarized MNIST, resampled",
        {"": [start_figures, *rows]},
        [
            f"10,000 test images, one seed. Importance bound: {arguments.importance_samples:,} samples. Annealed "
            f"importance sampling: {arguments.images} images, one chain, {arguments.temperatures:,} temperatures, 16 "
            "leapfrogs of size 0.06; the log-likelihood is the importance bound of all images and the mean difference "
            "of these. The first row is where the others start; the paper does not say how long its own start was "
            "trained. Its own figures are of three seeds, with deviations below 0.1, read in the source."
        ],
    )


if __name__ == "__main__":
    main()
