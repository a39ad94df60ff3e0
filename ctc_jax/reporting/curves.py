"""Training curves as SVG: the bound, the KL of each layer, the throughput. Tests: test_curves.py."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ctc_jax.reporting.latent_groups import natural, together
from ctc_jax.reporting.panel import Line, draw_panel
from ctc_jax.reporting.units import split_unit

BOUNDS = ("bound_bpd", "elbo_bpd", "bound_nats", "elbo_nats", "loss_nats")  # the first one present is drawn
THROUGHPUT = "images_per_second"
# As the style of the page has them, in light and in dark.
COLORS = {
    "train": "var(--train, #3b76af)",
    "validation": "var(--validation, #d9762b)",
    "test": "var(--test, #3f8f4f)",
}

History = Sequence[Mapping[str, Any]]
Series = tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"]]  # steps and values; lines of one panel differ in length


def color(index: int, count: int) -> str:
    """One of `count` colors that are told apart on light and on dark ground."""
    return f"hsl({round(215 + 360 * index / max(count, 1)) % 360} 62% var(--tone, 42%))"


def series(history: History, split: str, name: str) -> Series:
    """Steps and values of one metric of one split; the latter may be not finite."""
    points = [(entry["step"], float(entry[name])) for entry in history if entry["split"] == split and name in entry]
    steps, values = zip(*points, strict=True) if points else ((), ())
    return np.array(steps, np.float64), np.array(values, np.float64)


def robust_limits(curves: Sequence[Float[np.ndarray, "..."]], *, from_zero: bool = False) -> tuple[float, float] | None:
    """Limits of the y axis that the first steps' huge values and single outliers do not stretch.

    The first tenth of each long curve is left out, then quantiles 1% to 97% of the rest are taken; every curve's last
    value is inside. `from_zero` starts at 0 where no value is below it. None when there is no finite value.
    """
    curves = [values[np.isfinite(values)] for values in curves]
    kept = [values[len(values) // 10 :] for values in curves if len(values)]
    if not kept:
        return None
    low, high = np.quantile(np.concatenate(kept), [0.01, 0.97])
    lasts = [values[-1] for values in kept]
    low, high = min(low, *lasts), max(high, *lasts)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return 0.0 if from_zero and low >= 0 else float(low - margin), float(high + margin)


def draw_curves(history: History) -> list[str]:
    """An SVG each for the bound, the KL by layer and the throughput; one without points says so."""
    splits = list(dict.fromkeys(entry["split"] for entry in history))
    names = {name for entry in history for name in entry}
    bound = next((name for name in BOUNDS if name in names), BOUNDS[0])
    layers = sorted((name for name in names if name.startswith("kl_nats/")), key=natural)
    layers = layers or [name for name in ("kl_nats",) if name in names]
    colors = {split: COLORS.get(split) or color(index, len(splits)) for index, split in enumerate(splits)}

    lines = [Line(split, colors[split], *series(history, split, bound)) for split in splits]
    panels = [draw_panel("bound", split_unit(bound)[1], lines, robust_limits([line.values for line in lines]))]
    if layers:
        groups = together(name.partition("/")[2] for name in layers)
        lines = [
            Line(label or "all", color(index, len(groups)), *_sum([_of_layer(history, one) for one in some]))
            for index, (label, some) in enumerate(groups.items())
        ]
        limits = robust_limits([line.values for line in lines], from_zero=True)
        panels.append(draw_panel("KL by layer, training", "nats", lines, limits))
    if THROUGHPUT in names:
        line = Line("train", COLORS["train"], *series(history, "train", THROUGHPUT))
        limits = robust_limits([line.values], from_zero=True)
        panels.append(draw_panel("throughput", split_unit(THROUGHPUT)[1], [line], limits))
    return panels


def _of_layer(history: History, layer: str) -> Series:
    return series(history, "train", f"kl_nats/{layer}".rstrip("/"))


def _sum(parts: Sequence[Series]) -> Series:
    """The sum of series at the steps that all of them have."""
    steps = functools.reduce(np.intersect1d, [steps for steps, _ in parts])
    return steps, np.sum([values[np.isin(of, steps)] for of, values in parts], axis=0)
