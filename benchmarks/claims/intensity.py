"""What intensity is worth in a code, on digits as they are and at contrasts of their own: claim d of
docs/founding-claim.md. The rows are those of configs/sweeps/intensity_claim.py.

Each sweep is done by launch.py first, resumed where it was broken off; --tabulate makes the page of what is finished.
Further arguments go to launch.py. A row again, with another seed:

    python launch.py --config=configs/intensity_claim.py:contrast --config.seed=3
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.claims.founding import summary, verdict
from benchmarks.harness.finished_runs import training_figures
from benchmarks.harness.finished_sweeps import finish_sweep, finished, test_figures
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.results import parser, write
from configs.intensity_claim import SHARED, get_config
from configs.sweeps.intensity_claim import CATEGORIES

SWEEP = "configs/sweeps/intensity_claim.py"
PRESETS = {"digits": "", "contrast": "contrast"}
GAUSSIAN = "gaussian"
Figures = Mapping[str, Mapping[int, Mapping[str, float]]]


def row_name(overrides: Mapping[str, Any]) -> str:
    """`ctc of 16`: what the code is made of, and among how many each mask chooses."""
    latent = overrides.get("model.mask_vae.latent", GAUSSIAN)
    categories = overrides.get("model.mask_vae.categories")
    return f"{latent} of {categories}" if categories else latent


def row(name: str, by_seed: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    """Rate and distortion of a row: means over seeds, and standard errors where there are several."""
    line: dict[str, Any] = {"row": name, "seeds": len(by_seed)}
    figures = {
        "rate": [of["kl_nats/z"] for of in by_seed.values()],
        "rate of masks": [of["mask_kl_nats/z"] for of in by_seed.values() if "mask_kl_nats/z" in of],
        "distortion": [-of["log_likelihood_nats"] for of in by_seed.values()],
        "bound": [of["elbo_nats"] for of in by_seed.values()],
        "importance bound": [of["importance_bound_nats"] for of in by_seed.values()],
    }
    for column, values in figures.items():
        if values:
            line[f"{column}_nats"], error = summary(values)
            if column in ("rate", "distortion", "bound"):
                line[f"error of the {column}_nats"] = error
    return line


def differences(figures: Figures) -> list[dict[str, Any]]:
    """By number of categories: what one kind of code has more than another, of the bound, by pairs of a seed."""
    pairs = {
        "ctc less categorical": ("ctc of {}", "categorical of {}"),
        "categorical less gaussian": ("categorical of {}", GAUSSIAN),
        "ctc less gaussian": ("ctc of {}", GAUSSIAN),
        "categorical less gates times values": ("categorical of {}", "bernoulli_ctc"),
    }
    made = []
    for categories in CATEGORIES:
        line: dict[str, Any] = {
            "categories": categories,
            "most that masks can hold_nats": SHARED["model.latents"] * math.log(categories),
        }
        for heading, names in pairs.items():
            one, other = (figures.get(name.format(categories), {}) for name in names)
            seeds = sorted(one.keys() & other.keys())
            if seeds:
                mean, error = summary([one[seed]["elbo_nats"] - other[seed]["elbo_nats"] for seed in seeds])
                line[heading] = verdict(mean, error, len(seeds))
        made.append(line)
    return made


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "intensity_claim")
    flags.add_argument("--data", nargs="+", default=list(PRESETS), choices=list(PRESETS), help="all by default")
    flags.add_argument("--sweeps", type=Path, default=ROOT / "runs" / "intensity_claim", help="a folder for each")
    flags.add_argument("--sweep", default=SWEEP, help="another file has other rows")
    flags.add_argument("--parallel", type=int, default=1, help="runs at once")
    flags.add_argument("--tabulate", action="store_true", help="train nothing")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    made = {}
    for data in arguments.data:
        root, preset = arguments.sweeps.absolute() / data, PRESETS[data]
        if not arguments.tabulate:
            config = f"configs/intensity_claim.py{preset and ':'}{preset}"
            finish_sweep(config, arguments.sweep, root, parallel=arguments.parallel, overrides=overrides)
        runs = finished(get_config(preset), arguments.sweep, root, row_name)
        figures = test_figures(runs)
        made[data] = [row(name, by_seed) for name, by_seed in figures.items()]
        made[f"{data}: differences of the bound, nats"] = differences(figures)
        made[f"{data}: runs"] = [
            {"row": name, **training_figures(next(iter(by_seed.values())))} for name, by_seed in runs.items()
        ]
    write(arguments.output, "What intensity is worth in a code", made, NOTES)


NOTES = [
    f"Test set, means over seeds. A code has {SHARED['model.latents']} numbers, gates or choices; rate is the KL of q "
    "from the prior, uniform masks times N(0, 1) values, distortion is -log p(x given z) of Gaussian pixels with a "
    f"standard deviation of {SHARED['likelihood.fixed_scale']:g} levels, and the bound is minus the sum of the two. "
    "Differences are of pairs of a seed, mean and standard error, more being better; "
    "decided where Student's interval of 95% leaves out 0. Training figures are those of the first seed.",
]


if __name__ == "__main__":
    main()
