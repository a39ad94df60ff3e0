"""Test bounds on CIFAR-10 by minutes of training, of flat and deep models under every likelihood.

A config is timed for a few steps first; then one run a budget is trained for as many steps as fit into it, so that its
learning rate has come to its end there, and evaluated. Runs broken off are resumed, finished ones reused. Further
arguments go to launch.py. On an accelerator, at most twelve minutes in all:

    python -m benchmarks.bounds.by_minutes --configs configs/cifar_ctc.py configs/cifar_hierarchy.py --minutes 4
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.finished_runs import finish, last, name_of, training_figures
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.pictures import save_figure
from benchmarks.harness.results import parser, write
from ctc_jax.run import Run

CONFIGS = tuple(f"configs/cifar_{name}.py:cpu" for name in ("gaussian", "logistic", "categorical", "ctc"))
# Bits per dimension, read in the source, of models that were trained for days on several GPUs.
PUBLISHED = {"convDRAW": 3.58, "ladder VAE, 3 layers": 3.59, "ResNet VAE + IAF": 3.15, "very deep VAE": 2.87}
TIMED_STEPS = 60


def steps_within(minutes: float, seconds_a_step: float) -> int:
    """Steps that a budget holds, to two significant digits, so that speeds nearly the same give the same runs."""
    return max(1, int(float(f"{60 * minutes / seconds_a_step:.1e}")))


def seconds_a_step(config: str, workdirs: Path, overrides: Sequence[str]) -> float:
    """Of training alone, in a short run that is kept beside the others."""
    # The time of a step does not depend on its learning rate, whose warm-up may be longer than this run.
    few = f"train.steps={TIMED_STEPS},train.log_every={TIMED_STEPS // 3},train.warmup_steps=0"
    run = finish(f"{config},{few},evaluate.quality_samples=0", workdirs, overrides)
    return run.config.train.batch_size / training_figures(run)["images_per_second"]


def curve(run: Run) -> list[tuple[float, float]]:
    """Minutes of training and the validation bound in bits per dimension then, where both are known."""
    elapsed = {line["step"]: line["elapsed_seconds"] for line in run.history if line["split"] == "train"}
    bounds = {line["step"]: line["bound_bpd"] for line in run.history if line["split"] == "validation"}
    return [(elapsed[step] / 60, bound) for step, bound in bounds.items() if step in elapsed]


def row(config: str, minutes: float, run: Run) -> dict[str, Any]:
    """The figures of a run."""
    test = last(run, "test")
    return {
        "config": name_of(config),
        "budget, minutes": minutes,
        "bound_bpd": test["bound_bpd"],
        "importance bound_bpd": test["importance_bound_bpd"],
        "K": int(test["importance_samples"]),
        **training_figures(run),
    }


def plot(runs: Mapping[str, Sequence[Run]], path: Path) -> None:
    """A color a config, a line a run: validation bounds by minutes."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(7.5, 4.2), layout="constrained")
    for index, (config, of) in enumerate(runs.items()):
        for run in of:
            label = name_of(config) if run is of[-1] else None
            panel.plot(
                *zip(*curve(run), strict=True), "o-", color=f"C{index}", markersize=3, linewidth=1.2, label=label
            )
    panel.set(xlabel="minutes of training", ylabel="validation bound, bits per dimension", xscale="log")
    panel.grid(color="#dddddd", linewidth=0.6)
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    save_figure(figure, path)
    pyplot.close(figure)


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "by_minutes")
    flags.add_argument("--configs", nargs="+", default=list(CONFIGS))
    flags.add_argument("--minutes", type=float, nargs="+", default=[10.0, 60.0, 240.0])
    flags.add_argument("--workdirs", type=Path, default=ROOT / "runs" / "by_minutes", help="directory of the runs")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    made = {config: [] for config in arguments.configs}
    rows = []
    seconds = {config: seconds_a_step(config, arguments.workdirs, overrides) for config in arguments.configs}
    for minutes in arguments.minutes:
        for config in arguments.configs:
            steps = steps_within(minutes, seconds[config])
            every = max(1, steps // 10)
            cadence = f"train.evaluate_every={every},train.checkpoint_every={every},train.log_every={every}"
            run = finish(f"{config},train.steps={steps},{cadence}", arguments.workdirs, overrides)
            made[config].append(run)
            rows.append(row(config, minutes, run))
    plot(made, arguments.output.with_suffix(".png"))
    notes = [
        "Test set, each image once; K samples in the importance bound. A budget counts training alone, its data with "
        "it; training seconds and the plot are of the whole loop, compilation, validations and checkpoints with it. "
        "Each run's schedule of the learning rate ends with its budget.",
        f"![bounds by minutes]({arguments.output.stem}.png)",
        "Published, of larger models and days of several GPUs, bits per dimension: "
        + ", ".join(f"{name} {bound}" for name, bound in PUBLISHED.items())
        + ".",
    ]
    write(arguments.output, "CIFAR-10 bounds by minutes of training", {"": rows}, notes)


if __name__ == "__main__":
    main()
