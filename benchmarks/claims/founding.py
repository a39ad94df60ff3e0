"""The founding claim: the rows of configs/sweeps/founding_claim.py on each dataset, over seeds, and what differs by how
much. docs/founding-claim.md says what it means and how many hours it takes.

Each dataset's sweep is done by launch.py first, resumed where it was broken off; --tabulate makes the page of what is
finished. Further arguments go to launch.py. A row again, with another seed:

    python launch.py --config=configs/founding_claim.py:shapes --config.likelihood.name=ctc --config.seed=3
"""

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from benchmarks.claims.founding_plot import plot_spectra
from benchmarks.harness.finished_runs import training_figures
from benchmarks.harness.finished_sweeps import finish_sweep, finished, test_figures
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.pictures import copy_pictures
from benchmarks.harness.results import parser, write
from ctc_jax import posteriors

CONFIG, SWEEP = "configs/founding_claim.py", "configs/sweeps/founding_claim.py"
DATASETS = ("shapes", "mnist", "fashion", "cifar10")
PICTURES = ("mean_and_samples", "one_code")


WHICH = ("samples", "means", "data")
LEVELS = ("level_1", "level_2", "level_3")


def _in_space(space: str) -> dict[str, str]:
    columns = {f"frechet {which}": f"frechet/{space}/{which}" for which in WHICH}
    columns |= {measure: f"{measure}/{space}/samples" for measure in ("precision", "recall", "density", "coverage")}
    return columns | {f"diversity {which}": f"diversity/{space}/{which}" for which in ("samples", "means")}


# Heading of a table: its columns, and the figure of the test set in each.
TABLES = {
    "bounds": {"bound_bpd": "bound_bpd", "importance bound_bpd": "importance_bound_bpd"},
    "sharpness, spectrum and multimodality": {
        **{f"sharpness {which}": f"sharpness/{which}" for which in WHICH},
        **{f"spectrum distance {which}": f"spectrum_distance_decades/{which}" for which in WHICH},
        "gap_nats_per_dimension": "multimodality_gap_nats_per_dimension",
    },
    "what is known where": {
        **{f"{name.replace('_', ' ')}_nats": f"kl_nats/{name}" for name in (*LEVELS, "top")},
        **{f"masks of {name.replace('_', ' ')}_nats": f"mask_kl_nats/{name}" for name in LEVELS},
    },
    **{f"{space} features": _in_space(space) for space in ("pixels", "random", "classifier")},
}
# A claim: the row that should be better, and the row it should be better than.
CLAIMS = {
    "a multimodal likelihood: ctc, not gaussian": ("ctc", "gaussian"),
    "a multimodal likelihood: ctc, not logistic": ("ctc", "logistic"),
    "an intensity beside the choice: ctc, not categorical": ("ctc", "categorical"),
    "one choice for a patch: ctc of patches, not of pixels": ("ctc of patch:4", "ctc"),
    "latents below the top: gaussian levels, not none": ("logistic, gaussian levels", "logistic"),
    "latents below the top: pooled levels, not none": ("logistic, ctc_pool levels", "logistic"),
    "multimodal latents: pooled levels, not gaussian ones": ("logistic, ctc_pool levels", "logistic, gaussian levels"),
    "multimodal latents: gated levels, not gaussian ones": ("logistic, ctc_relu levels", "logistic, gaussian levels"),
    "both: pooled levels under ctc, not ctc alone": ("ctc, ctc_pool levels", "ctc"),
    "likelihood or latents: ctc without, not logistic with pooled levels": ("ctc", "logistic, ctc_pool levels"),
    **{
        claim.format(name): rows
        for name in ("gaussian", "logistic")
        for claim, rows in (
            ("correlation alone: {} of rank 16, not of independent pixels", (f"{name} of rank 16", name)),
            ("the best variance alone: {} at optimal scale, not a pixel's own", (f"{name} at optimal scale", name)),
            ("several modes or correlation: ctc, not {} of rank 16", ("ctc", f"{name} of rank 16")),
            (
                "several modes or correlation: patches, not {} of rank 16",
                ("ctc of patch:4", f"{name} of rank 16"),
            ),
        )
    },
    **{
        claim.format(name): rows
        for name in posteriors.REGISTRY
        if name != "diagonal"
        for claim, rows in (
            ("a better posterior: {}, not diagonal", (f"logistic, {name} posterior", "logistic")),
            (
                "likelihood or posterior: ctc with diagonal, not logistic with {}",
                ("ctc", f"logistic, {name} posterior"),
            ),
        )
    },
}
# What claims are judged by: lower is better in each.
JUDGES = {
    "bound_bpd": "bound_bpd",
    "spectrum distance samples": "spectrum_distance_decades/samples",
    "frechet random samples": "frechet/random/samples",
    "frechet classifier samples": "frechet/classifier/samples",
    "frechet classifier means": "frechet/classifier/means",
}
CONFIDENCE = 0.95


def row_name(overrides: Mapping[str, Any]) -> str:
    """`ctc of patch:4, ctc_pool levels`: the likelihood, and what else differs from a flat VAE."""
    likelihood = overrides.get("likelihood.name", "logistic")
    group, families = overrides.get("likelihood.ctc.mask_group"), overrides.get("model.ctc_hierarchy.families")
    rank, scale = overrides.get(f"likelihood.{likelihood}.rank"), overrides.get("likelihood.scale")
    kinds = ((group, f" of {group}"), (rank, f" of rank {rank}"), (scale, f" at {scale} scale"))
    parts = [likelihood + "".join(words for given, words in kinds if given)]
    parts += [f"{families} levels"] if families else []
    parts += [f"{overrides['posterior.name']} posterior"] if "posterior.name" in overrides else []
    return ", ".join(parts)


def summary(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over seeds, and its standard error where there is one."""
    error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
    return float(np.mean(values)), error


def tables(rows: Mapping[str, Mapping[int, Mapping[str, float]]]) -> dict[str, list[dict]]:
    """By heading: a row for each name; nothing where no run has any of its figures.

    Args:
      rows: figures of the test set by name and seed.
    """
    made = {}
    known = {key for by_seed in rows.values() for figures in by_seed.values() for key in figures}
    for heading, columns in TABLES.items():
        if not known.intersection(columns.values()):
            continue
        made[heading] = []
        for name, by_seed in rows.items():
            line = {"row": name, "seeds": len(by_seed)}
            for column, key in columns.items():
                found = [figures[key] for figures in by_seed.values() if key in figures]
                if found:
                    line[column], error = summary(found)
                    if heading == "bounds":
                        line[f"error of the {column}"] = error
            made[heading].append(line)
    return made


def differences(rows: Mapping[str, Mapping[int, Mapping[str, float]]]) -> list[dict]:
    """Of each claim that has rows: what the first row has less than the second with the same seed, by each judge.

    A judge has a mean and a standard error over seeds, and a verdict: better or worse where Student's interval of 95%
    (of three seeds 4.3 errors to either side) leaves out 0, else "undecided"; "one seed" where there is no error.
    """
    made = []
    for claim, (better, worse) in CLAIMS.items():
        seeds = sorted(rows.get(better, {}).keys() & rows.get(worse, {}).keys())
        if not seeds:
            continue
        line = {"claim": claim, "seeds": len(seeds)}
        for judge, key in JUDGES.items():
            pairs = [(rows[better][seed].get(key), rows[worse][seed].get(key)) for seed in seeds]
            if any(None in pair for pair in pairs):
                continue
            mean, error = summary([other - one for one, other in pairs])
            line[judge] = verdict(mean, error, len(pairs))
        made.append(line)
    return made


def verdict(mean: float, error: float | None, seeds: int) -> str:
    """A difference of which more is better, its standard error over seeds, and what the two say."""
    if error is None:
        return plus_minus(mean, None, 3, sign="+") + " (one seed)"
    sure = abs(mean) > scipy.stats.t.ppf((1 + CONFIDENCE) / 2, seeds - 1) * error
    word = ("better" if mean > 0 else "worse") if sure else "undecided"
    return f"{plus_minus(mean, error, 3, sign='+')}, {word}"


def plus_minus(mean: float, error: float | None, digits: int, *, sign: str = "") -> str:
    """`1.23 ± 0.04`: the mean with so many digits, the error, where there is one, with two."""
    shown = _digits(mean, digits, sign)
    return shown if error is None else f"{shown} ± {_digits(error, 2)}"


def _digits(value: float, count: int, sign: str = "") -> str:
    """So many significant digits, without an exponent."""
    rounded = float(f"{value:.{count}g}")
    decimals = max(0, count - 1 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    return f"{rounded:{sign},.{decimals}f}"


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "founding_claim")
    flags.add_argument(
        "--datasets", nargs="+", default=list(DATASETS), help="presets of the config; mnist is without one"
    )
    flags.add_argument("--config", default=CONFIG, help="configs/posterior_claim.py is that of claim c")
    flags.add_argument(
        "--sweep", default=SWEEP, help="posteriors.py beside it has the rows of claim c, one_mode.py of f"
    )
    flags.add_argument("--sweeps", type=Path, help="a folder a dataset; default: runs/NAME of the config")
    flags.add_argument("--parallel", type=int, default=1, help="runs at once")
    flags.add_argument("--pictured", nargs="+", help="rows whose samples the page shows; all unless told")
    flags.add_argument("--tabulate", action="store_true", help="train nothing")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    sweeps = arguments.sweeps or ROOT / "runs" / Path(arguments.config).stem
    for dataset in arguments.datasets:
        root, notes = sweeps.absolute() / dataset, []
        preset = "" if dataset == "mnist" else dataset
        if not arguments.tabulate:
            config = f"{arguments.config}{preset and ':'}{preset}"
            finish_sweep(config, arguments.sweep, root, parallel=arguments.parallel, overrides=overrides)
        base = importlib.import_module(f"configs.{Path(arguments.config).stem}").get_config(preset)
        runs = finished(base, arguments.sweep, root, row_name)
        figures = test_figures(runs)
        made = {"claims": differences(figures), **tables(figures)}
        first = {name: next(iter(by_seed.values())) for name, by_seed in runs.items()}
        made["runs"] = [{"row": name, **training_figures(run)} for name, run in first.items()]
        output = arguments.output.with_name(f"{arguments.output.stem}_{dataset}.json")
        plot_spectra(first, output.with_suffix(".png"))
        for name, run in first.items():
            if arguments.pictured is None or name in arguments.pictured:
                notes += copy_pictures(run, output.with_suffix(""), PICTURES, name)
        write(output, f"The founding claim on {dataset}", made, [*NOTES, f"![spectra]({output.stem}.png)", *notes])


VERDICTS = (
    "Claims: how much less the first row has than the second with the same seed, mean and standard error over seeds; "
    "better or worse where Student's interval of 95% leaves out 0, which takes 4.3 errors of three seeds, else "
    "undecided. Lower is better in what every column of that table is a difference of."
)
NOTES = [
    VERDICTS,
    "Test set. Distances are between features of samples, or of likelihoods' means, and of test images; `data` are "
    "training images in their place, what a perfect model would reach. No space is comparable with Inception scores. "
    "Known: the KL of each level, the lowest at the image, and of it what masks cost. "
    "Diversity: the mean squared distance of two images of one code (of the top, where levels lie below) over that of "
    "two codes. Sharpness is the variance of the Laplacian, to be read beside that of the data. Training figures are "
    "those of the first seed.",
]


if __name__ == "__main__":
    main()
