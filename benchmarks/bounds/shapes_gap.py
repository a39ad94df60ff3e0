"""Gap of each likelihood to the exact conditional entropy of `shapes`, at the same budget, with pictures.

The gap is the mean over the test part of log p*(x | class), which is known by enumeration, minus the model's
log p(x | class). It is paired: an image's own surprise is in both and cancels. Target: ctc at most 0.1 nats an image.
Further arguments go to launch.py, for example --config.train.steps=1000.
"""

from pathlib import Path

import numpy as np

from benchmarks.harness.finished_runs import finish, last, training_figures
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.pictures import copy_pictures
from benchmarks.harness.results import parser, write
from ctc_jax.run import Run

LIKELIHOODS = ("gaussian", "categorical", "ctc")


def row(run: Run) -> dict:
    """The figures of one run."""
    test = run.dataset.test
    truth = np.asarray(run.dataset.log_prob(test.images, test.labels), np.float64)
    # The model has no latent, so one importance sample is exact.
    model = np.asarray(run.log_likelihood(test.images, test.labels, importance_samples=1), np.float64)
    gap = truth - model
    numbers = last(run, "test")
    return {
        "likelihood": run.config.likelihood.name,
        "seed": run.config.seed,
        "gap_nats": float(gap.mean()),
        "standard error_nats": float(gap.std(ddof=1) / np.sqrt(len(gap))),
        "cross-entropy_nats": float(-model.mean()),
        "entropy_nats": float(-truth.mean()),
        "sharpness of means": numbers["sharpness/means"],
        "sharpness of samples": numbers["sharpness/samples"],
        "sharpness of data": numbers["sharpness/data"],
        "multimodality gap_nats a dimension": numbers["multimodality_gap_nats_per_dimension"],
        **training_figures(run),
    }


def main() -> None:
    """Trains what is not trained yet, and compares."""
    flags = parser(__doc__, "shapes_gap")
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks" / "shapes")
    flags.add_argument("--likelihoods", nargs="+", default=list(LIKELIHOODS))
    flags.add_argument("--preset", default="long")
    flags.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of ctc")
    flags.add_argument("--baseline_seeds", type=int, nargs="+", default=[0], help="of the others")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    preset = f":{arguments.preset}" if arguments.preset else ""
    rows, pictures = [], []
    for name in arguments.likelihoods:
        seeds = arguments.seeds if name == "ctc" else arguments.baseline_seeds
        for seed in seeds:
            run = finish(f"configs/shapes_{name}.py{preset},seed={seed}", arguments.workdirs, overrides)
            rows.append(row(run))
            if seed == seeds[0]:
                pictures += copy_pictures(run, arguments.output.with_suffix(""), ("mean_and_samples",))
    notes = [
        "Gap: mean over the test part of log p*(x | class) - log p(x | class), nats an image, paired; p* is the "
        "density the images were drawn from. In a picture each row is a class: the likelihood's mean, then samples."
    ]
    write(arguments.output, "Gap to the exact entropy of shapes", {"": rows}, notes + pictures)


if __name__ == "__main__":
    main()
