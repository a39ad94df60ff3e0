"""Levels of one hierarchy by their family: whole runs of configs/mnist_hierarchy.py, several seeds; 20 minutes a run.

Runs are made by launch.py, resumed when broken off, reused when finished. Further arguments go to launch.py.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.finished_runs import finish, last, training_figures
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.pictures import copy_pictures
from benchmarks.harness.results import parser, write

# One-sample test ELBO, nats, of a plain prototype: three resolutions, 24 channels, 0.37 to 0.42 million parameters,
# batch 64, 3,000 steps on dynamic MNIST.
PROTOTYPE = {
    "no latents below the top": -96.0,
    "gaussian levels": -90.2,
    "pooling, straight_through": -92.4,
    "pooling, st_gumbel": -91.6,
    "pooling, reinmax": -89.9,
}
PICTURES = ("samples", "one_code", "masks", "what_where")
LEVEL_FIGURES = ("kl_nats/", "mask_kl_nats/", "mask_information_nats/", "masks_used/")


def row(name: str, tests: Sequence[Mapping[str, float]], training: Sequence[Mapping[str, float]]) -> dict:
    """Means over seeds.

    Args:
      name: of the row.
      tests: figures of the test set, a seed each.
      training: figures of training, a seed each.
    """
    elbos = [test["elbo_nats"] for test in tests]

    def mean(key):
        return float(np.mean([test[key] for test in tests]))

    levels = sorted(key for key in tests[0] if key.startswith(LEVEL_FIGURES))
    return {
        "levels": name,
        "seeds": len(tests),
        "elbo_nats": float(np.mean(elbos)),
        "standard error over seeds_nats": float(np.std(elbos, ddof=1) / len(elbos) ** 0.5) if len(elbos) > 1 else None,
        "importance bound_nats": mean("importance_bound_nats"),
        **{key.replace("_nats/", " ").replace("/", " ").replace("_", " "): mean(key) for key in levels},
        **{key: _shared([of[key] for of in training]) for key in training[0]},
    }


def _shared(values):
    """What all have, or their mean."""
    return values[0] if len(set(values)) == 1 else float(np.mean(values))


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "hierarchy_mnist")
    flags.add_argument("--config", default="configs/mnist_hierarchy.py")
    flags.add_argument(
        "--presets", nargs="+", default=["", "gaussian", "flat", "relu"], help="of the config, with changes ,KEY=VALUE"
    )
    flags.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    flags.add_argument("--title", default="A hierarchy on binarized MNIST, by the family of its levels")
    flags.add_argument("--pictures", nargs="*", default=list(PICTURES), help="of the first seed; none where empty")
    flags.add_argument("--alone", action="store_true", help="no rows of the prototype")
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks", help="directory of the runs")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    rows, pictures = [], []
    for preset in arguments.presets:
        config = f"{arguments.config}:{preset}" if preset and not preset.startswith(",") else arguments.config + preset
        runs = [finish(f"{config},seed={seed}", arguments.workdirs, overrides) for seed in arguments.seeds]
        rows.append(
            row(
                preset.lstrip(",") or "as it is",
                [last(run, "test") for run in runs],
                [training_figures(run) for run in runs],
            )
        )
        if arguments.pictures:
            pictures += copy_pictures(runs[0], arguments.output.with_suffix(""), arguments.pictures)
    notes = [
        "Test set, each image once, one sample an image for the ELBO; means over seeds. KLs in nats; `mask kl` is the "
        "part of a level's KL that its masks have. Information of a mask with the image is the mean over masks, nats; "
        "used are masks that say more than 0.01 nats."
    ]
    if not arguments.alone:
        rows += [
            {"levels": f"prototype: {name}", "seeds": 1, "elbo_nats": elbo, "steps": 3_000}
            for name, elbo in PROTOTYPE.items()
        ]
        notes[0] += " The prototype is another net, of about 0.4 million parameters."
    write(arguments.output, arguments.title, {"": rows}, notes + pictures)


if __name__ == "__main__":
    main()
