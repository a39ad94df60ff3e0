"""What separates the ELBO from log p(x), the family of q or one recognition model for all images, of a flat and of a
CTC model; half an hour on one core, with the training of both.

Runs are made by launch.py, resumed when broken off, reused when finished. Further arguments go to launch.py.
"""

from pathlib import Path

import numpy as np

from benchmarks.harness.finished_runs import finish
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.results import parser, write
from ctc_jax.evaluation import Gap

CONFIGS = ("configs/mnist_annealing.py", "configs/mnist_ctc_latents.py:cpu")


def row(name: str, found: Gap) -> dict:
    """Means over images, and the errors of the parts."""
    annealed = found.annealed_bound

    def error(of: np.ndarray) -> float:
        return float(np.std(of, ddof=1) / len(of) ** 0.5)

    return {
        "run": name,
        "log p(x)_nats": float(found.log_likelihood.mean()),
        "importance bound_nats": float(found.importance_bound.mean()),
        "annealed bound_nats": None if annealed is None else float(annealed.mean()),
        "best q's ELBO_nats": float(found.best_elbo.mean()),
        "ELBO_nats": float(found.elbo.mean()),
        "approximation gap_nats": float(found.approximation.mean()),
        "its error_nats": error(found.approximation),
        "amortization gap_nats": float(found.amortization.mean()),
        "error of this_nats": error(found.amortization),
    }


def main() -> None:
    """Trains what is not trained yet, and takes the gaps apart."""
    flags = parser(__doc__, "gap")
    flags.add_argument("--configs", nargs="+", default=list(CONFIGS))
    flags.add_argument("--images", type=int, default=50, help="of the test set")
    flags.add_argument("--steps", type=int, default=500, help="by which q is fitted to an image")
    flags.add_argument("--temperatures", type=int, default=500, help="of annealed importance sampling")
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks", help="directory of the runs")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    rows = []
    for config in arguments.configs:
        run = finish(config, arguments.workdirs, overrides)
        images = np.asarray(run.dataset.test.images[: arguments.images])
        found = run.gap(
            images,
            importance_samples=1_000,
            gap_steps=arguments.steps,
            annealed_temperatures=arguments.temperatures,
            annealed_chains=4,
        )
        rows.append(row(run.workdir.name, found))
    note = (
        f"{arguments.images} test images. log p(x) is the higher of the bounds beside it, so that the approximation "
        "gap is too small by what these lack. Errors are over images."
    )
    write(arguments.output, "Two parts of the gap between log p(x) and the ELBO", {"": rows}, [note])


if __name__ == "__main__":
    main()
