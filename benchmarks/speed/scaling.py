"""Cost of a training step as batch, components and width grow: a table and a plot. At most eight minutes.

Around configs/cifar_ctc.py:flat_cpu (batch 64, ten components, width 64) one of the three varies at a time. `--wider`
scales the widths, for an accelerator.
"""

import gc
from typing import Any

import jax

from benchmarks.harness.machine import limit_threads
from benchmarks.harness.pictures import save_figure
from benchmarks.harness.results import parser, write
from benchmarks.harness.timing import median_ms, take_turns
from benchmarks.harness.trainer import Trainer
from configs import cifar_ctc

AXES = {
    "batch": ("train.batch_size", (32, 64, 128, 256, 512)),
    "components": ("likelihood.ctc.components", (1, 2, 5, 10, 20, 30)),
    "width": ("model.width", (32, 64, 96, 128)),
}


def measure(key: str, value: Any, shared: dict[str, Any], rounds: int, seconds: float) -> dict[str, Any]:
    """A row: one setting, alone in memory."""
    config = cifar_ctc.get_config("flat_cpu")
    config.update_from_flattened_dict({**shared, key: value})
    one = Trainer(config)
    milliseconds = median_ms(take_turns({"": one.advance}, rounds=rounds, seconds=seconds)[""]) / one.count
    return {
        "batch": config.train.batch_size,
        "components": config.likelihood.ctc.components,
        "width": config.model.width,
        "parameters": one.parameters,
        "step_ms": milliseconds,
        "images_per_second": 1e3 * config.train.batch_size / milliseconds,
    }


def plot(tables: dict[str, list[dict[str, Any]]], path) -> None:
    """Milliseconds a step and images a second against what varies, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(tables), figsize=(4 * len(tables), 3.4), layout="constrained")
    for panel, (axis, rows) in zip(panels, tables.items(), strict=True):
        values = [row[axis] for row in rows]
        (step,) = panel.plot(values, [row["step_ms"] for row in rows], "o-", color="#0b5fa5", label="ms/step")
        right = panel.twinx()
        (rate,) = right.plot(
            values, [row["images_per_second"] for row in rows], "s--", color="#b5451b", label="images/s"
        )
        panel.set_xscale("log", base=2)
        panel.set_xticks(values, [str(value) for value in values])
        panel.minorticks_off()
        panel.set_xlabel(axis)
        panel.set_ylabel("ms/step", color=step.get_color())
        right.set_ylabel("images/s", color=rate.get_color())
        panel.set_ylim(0, 1.1 * max(row["step_ms"] for row in rows))
        right.set_ylim(0, 1.1 * max(row["images_per_second"] for row in rows))
        panel.set_title(f"{axis} varies")
    figure.legend(handles=[step, rate], loc="outside lower center", ncols=2, frameon=False)
    save_figure(figure, path)
    pyplot.close(figure)


def main() -> None:
    """Measures each axis and draws."""
    flags = parser(__doc__, "scaling")
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--turn_seconds", type=float, default=2.0)
    flags.add_argument("--wider", type=int, default=1, help="factor of all widths")
    flags.add_argument("--points", type=int, default=0, help="values of each axis; 0 is all")
    arguments = flags.parse_args()
    limit_threads(arguments.threads)
    tables = {}
    for axis, (key, values) in AXES.items():
        shared = {"model.width": 64 * arguments.wider}
        factor = arguments.wider if axis == "width" else 1
        tables[axis] = []
        for value in values[: arguments.points or None]:
            row = measure(key, value * factor, shared, arguments.rounds, arguments.turn_seconds)
            print(axis, row, flush=True)
            tables[axis].append(row)
            jax.clear_caches()
            gc.collect()
    picture = arguments.output.with_suffix(".png")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    plot(tables, picture)
    headed = {f"{axis} varies": rows for axis, rows in tables.items()}
    write(arguments.output, "Cost as work grows", headed, [f"![cost against size]({picture.name})"])


if __name__ == "__main__":
    main()
