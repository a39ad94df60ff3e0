"""Bounds of whole runs on their test sets, beside published figures; about ten minutes a CIFAR-10 run on two cores.

Each config is trained and evaluated by launch.py; a run broken off is resumed, a finished one reused. Further
arguments go to launch.py, for example --config.train.steps=1000.
"""

from pathlib import Path
from typing import NamedTuple

from benchmarks.harness.finished_runs import finish, last, training_figures
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.pictures import copy_pictures
from benchmarks.harness.results import RESULTS, parser, write
from ctc_jax.run import Run


class Table(NamedTuple):
    """Configs to compare.

    Attributes:
      title: of the page.
      configs: as `finished_runs.finish` takes them.
      references: published rows, whose column "source" says how the figure is known.
      bits: whether bits per dimension are the customary unit.
      pictures: whether the page shows samples.
    """

    title: str
    configs: tuple[str, ...]
    references: tuple[dict, ...]
    bits: bool
    pictures: bool = True


READ, RECALLED = "V: read in the source", "M: from memory, not confirmed"
LIKELIHOODS = ("gaussian", "logistic", "categorical", "ctc")
CIFAR = (
    {"run": "convDRAW", "bound_bpd": 3.58, "source": READ},
    {"run": "ladder VAE, 3 layers", "bound_bpd": 3.59, "importance bound_bpd": 3.56, "K": 100, "source": READ},
    {"run": "ResNet VAE + IAF", "bound_bpd": 3.15, "source": READ},
    {"run": "PixelCNN++ (8 GPUs, 5 days)", "bound_bpd": 2.92, "source": READ},
)
TABLES = {
    "cifar": Table(
        "CIFAR-10: likelihoods on one hierarchy, ctc also with autoregressive channel means",
        (
            *(f"configs/cifar_{name}.py:cpu" for name in LIKELIHOODS),
            "configs/cifar_ctc.py:cpu,likelihood.ctc.autoregressive=True",
        ),
        CIFAR,
        True,
    ),
    "flat": Table(
        "CIFAR-10: four likelihoods on one flat network, ctc also with autoregressive channel means",
        (
            *(f"configs/cifar_{name}.py:flat_cpu" for name in LIKELIHOODS),
            "configs/cifar_ctc.py:flat_cpu,likelihood.ctc.autoregressive=True",
        ),
        CIFAR,
        True,
        pictures=False,
    ),
    "mnist": Table(
        "MNIST, binarized: the one-layer VAE",
        ("configs/mnist_bernoulli.py:static", "configs/mnist_bernoulli.py"),
        (
            {
                "run": "VAE, published reproduction (its paper: -89.9)",
                "binarization": "static",
                "importance bound_nats": -89.78,
                "source": READ,
            },
            {
                "run": "one-layer VAE, 2x200 tanh, 50 latents",
                "binarization": "resampled at each batch",
                "importance bound_nats": -86.76,
                "K": 5000,
                "source": RECALLED,
            },
        ),
        False,
    ),
    # A 27th of the schedule of 3,280 passes, its stages as long in proportion: the whole takes a core eight hours.
    "burda": Table(
        "MNIST, binarized at each batch: the schedule of Burda et al. (2016), its stages cut to a 27th",
        tuple(f"configs/mnist_burda.py{preset},train.steps=303704" for preset in ("", ":iwae")),
        (
            {"run": "ELBO, 3,280 passes", "importance bound_nats": -86.76, "K": 5000, "source": RECALLED},
            {"run": "5 samples, 3,280 passes", "importance bound_nats": -85.54, "K": 5000, "source": RECALLED},
        ),
        False,
        pictures=False,
    ),
    "fashion": Table(
        "Fashion-MNIST: two likelihoods on one network",
        ("configs/fashion_gaussian.py:cpu", "configs/fashion_ctc.py:cpu"),
        (),
        True,
    ),
}


def row(run: Run, bits: bool) -> dict:
    """The figures of one run."""
    test = last(run, "test")
    binary = {"binarization": run.dataset.binarization} if run.dataset.bits == 1 else {}
    bound = {"bound_bpd": test["bound_bpd"], "importance bound_bpd": test["importance_bound_bpd"]} if bits else {}
    return {
        "run": run.workdir.name,
        **binary,
        **bound,
        "elbo_nats": test["elbo_nats"],
        "importance bound_nats": test["importance_bound_nats"],
        "K": int(test["importance_samples"]),
        "standard error_nats": test["importance_bound_standard_error_nats"],
        "kl_nats": sum(value for name, value in test.items() if name.startswith("kl_nats/")),
        "multimodality gap_nats a dimension": test["multimodality_gap_nats_per_dimension"],
        "sharpness of means": test["sharpness/means"],
        "sharpness of samples": test["sharpness/samples"],
        "sharpness of data": test["sharpness/data"],
        **training_figures(run),
    }


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "bound_table")
    flags.set_defaults(output=None)
    flags.add_argument("--set", choices=sorted(TABLES), default="cifar")
    flags.add_argument("--configs", nargs="+", help="these instead of the set's own")
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "benchmarks", help="directory of the runs")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    table = TABLES[arguments.set]
    output = arguments.output or RESULTS / f"bound_table_{arguments.set}.json"
    rows, pictures = [], []
    for config in arguments.configs or table.configs:
        run = finish(config, arguments.workdirs, overrides)
        rows.append(row(run, table.bits))
        if table.pictures:
            pictures += copy_pictures(run, output.with_suffix(""), ("mean_and_samples",))
    notes = [
        "Test set, each image once. Bound: ELBO, one sample an image; importance bound: K samples, its standard error "
        "over the images. Published figures are of larger models and budgets where they say so; source says how the "
        "figure is known."
    ]
    write(output, table.title, {"": [*rows, *table.references]}, notes + pictures)


if __name__ == "__main__":
    main()
