"""Families of posteriors on one network, static MNIST, several seeds; two to forty minutes a run on one core.

Runs are made by launch.py, resumed when broken off, reused when finished. Further arguments go to launch.py. The fixed
binarization has to be had first: docs/data.md says how.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.finished_runs import finish, finished, last, name_of, training_figures
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.results import parser, write
from ctc_jax.posteriors import REGISTRY
from ctc_jax.run import Run

CONFIG = "configs/mnist_bernoulli.py:static"
# Minus the test ELBO of gated convolutional networks with 64 latents (van den Berg et al. 2018; Grathwohl et al. 2019),
# read in the source, by the family that is here.
PUBLISHED = {"diagonal": 86.55, "planar": 86.06, "iaf": 84.20}


def row(name: str, runs: Sequence[Run]) -> dict:
    """Means over seeds."""
    tests = [last(run, "test") for run in runs]
    figures = [training_figures(run) for run in runs]
    elbos = [test["elbo_nats"] for test in tests]
    published = PUBLISHED.get(name)
    return {
        "posterior": name,
        "seeds": len(runs),
        "elbo_nats": float(np.mean(elbos)),
        "standard error over seeds_nats": float(np.std(elbos, ddof=1) / len(elbos) ** 0.5) if len(elbos) > 1 else None,
        "importance bound_nats": float(np.mean([test["importance_bound_nats"] for test in tests])),
        "K": int(tests[0]["importance_samples"]),
        "published elbo, larger network_nats": None if published is None else -published,
        **figures[0],
        "training_seconds": float(np.mean([of["training_seconds"] for of in figures])),
    }


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "posteriors")
    flags.add_argument("--posteriors", nargs="+", default=list(REGISTRY), choices=list(REGISTRY))
    flags.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    flags.add_argument("--steps", type=int, default=20_000)
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks", help="directory of the runs")
    flags.add_argument("--tabulate", action="store_true", help="train nothing: the seeds of each family that are done")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    shared = f"model.features=1,train.steps={arguments.steps}"
    runs = {name: [] for name in arguments.posteriors}
    # All families of a seed, then the next, so that a table broken off has whole rows.
    for seed in arguments.seeds:
        for name in arguments.posteriors:
            config = f"{CONFIG},{shared},posterior.name={name},seed={seed}"
            if not arguments.tabulate:
                runs[name].append(finish(config, arguments.workdirs, overrides))
            elif (run := finished(arguments.workdirs / name_of(config))) is not None:
                runs[name].append(run)
    rows = [row(name, done) for name, done in runs.items() if done]
    if not rows:
        sys.exit(f"error: no finished run in {arguments.workdirs}; without --tabulate they are made")
    note = (
        "Test set, each image once; means over seeds. Networks of 2 x 200 tanh units and 50 latents, the options of "
        "each family as they are. Published: the order of families on a larger, convolutional network, trained for "
        "hundreds of passes; not the same setting. The importance bound is of K samples."
    )
    write(arguments.output, "Families of posteriors on static MNIST", {"": rows}, [note])


if __name__ == "__main__":
    main()
