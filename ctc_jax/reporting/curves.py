"""Training curves as one PNG: the bound, the KL of each layer, the throughput. Tests: test_curves.py."""

import functools
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ctc_jax.reporting.latent_groups import natural, together
from ctc_jax.reporting.units import split_unit

BOUNDS = ("bound_bpd", "elbo_bpd", "bound_nats", "elbo_nats", "loss_nats")  # the first one present is drawn
THROUGHPUT = "images_per_second"
COLORS = {"train": "#3b76af", "validation": "#d9762b", "test": "#3f8f4f"}
OTHER_COLORS = ("#7a5ca8", "#a8505c", "#5c8fa8", "#8f8f3f")
LEGEND_ENTRIES = 8

History = Sequence[Mapping[str, Any]]
Series = tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"]]  # steps and values; lines of one panel differ in length


def series(history: History, split: str, name: str) -> Series:
    """Steps and values of one metric of one split, not finite values left out."""
    points = [
        (entry["step"], float(entry[name]))
        for entry in history
        if entry["split"] == split and name in entry and math.isfinite(float(entry[name]))
    ]
    steps, values = zip(*points, strict=True) if points else ((), ())
    return np.array(steps, np.float64), np.array(values, np.float64)


def robust_limits(curves: Sequence[Float[np.ndarray, "..."]], *, from_zero: bool = False) -> tuple[float, float] | None:
    """Limits of the y axis that the first steps' huge values and single outliers do not stretch.

    The first tenth of each long curve is left out, then quantiles 1% to 97% of the rest are taken; every curve's last
    value is inside. `from_zero` starts at 0 where no value is below it. None when there is no value.
    """
    kept = [values[len(values) // 10 :] for values in curves if len(values)]
    if not kept:
        return None
    low, high = np.quantile(np.concatenate(kept), [0.01, 0.97])
    lasts = [values[-1] for values in kept]
    low, high = min(low, *lasts), max(high, *lasts)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return 0.0 if from_zero and low >= 0 else float(low - margin), float(high + margin)


def draw_curves(history: History) -> bytes:
    """A PNG with a panel each for the bound, the KL by layer and the throughput; a panel without points says so."""
    # Half a second to import, which the start of every run would otherwise pay.
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    splits = list(dict.fromkeys(entry["split"] for entry in history))
    names = {name for entry in history for name in entry}
    bound = next((name for name in BOUNDS if name in names), BOUNDS[0])
    layers = sorted((name for name in names if name.startswith("kl_nats/")), key=natural)
    layers = layers or [name for name in ("kl_nats",) if name in names]
    spare = iter(OTHER_COLORS * (1 + len(splits)))
    colors = {split: COLORS.get(split) or next(spare) for split in splits}

    panels = [("bound", bound, [(split, colors[split], series(history, split, bound)) for split in splits])]
    if layers:
        groups = together(name.partition("/")[2] for name in layers)
        shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(groups)))
        lines = [
            (label or "all", shade, _sum([series(history, "train", f"kl_nats/{of}".rstrip("/")) for of in some]))
            for (label, some), shade in zip(groups.items(), shades, strict=True)
        ]
        title = "KL by layer, training"
        if len(groups) > LEGEND_ENTRIES:
            title += f" ({len(groups)} layers, first dark, last light)"
        panels.append((title, "kl_nats", lines))
    if THROUGHPUT in names:
        panels.append(("throughput", THROUGHPUT, [("train", COLORS["train"], series(history, "train", THROUGHPUT))]))

    figure = Figure(figsize=(6.4, 2.7 * len(panels)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, name, lines) in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        _draw_panel(axes, title, split_unit(name)[1], lines)
    figure.axes[-1].set_xlabel("step")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _sum(parts: Sequence[Series]) -> Series:
    """The sum of series at the steps that all of them have."""
    steps = functools.reduce(np.intersect1d, [steps for steps, _ in parts])
    return steps, sum(values[np.isin(of, steps)] for of, values in parts)


def _draw_panel(axes: Any, title: str, unit: str, lines: Sequence[tuple[str, Any, Series]]) -> None:
    """Draws labeled, colored lines on matplotlib axes."""
    lines = [line for line in lines if len(line[2][0])]
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_ylabel(unit)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    limits = robust_limits([values for _, _, (_, values) in lines], from_zero=title != "bound")
    if limits is None:
        axes.text(0.5, 0.5, "no points yet", transform=axes.transAxes, ha="center", va="center", color="#777777")
        axes.set_xticks([])
        axes.set_yticks([])
        return
    for label, color, (steps, values) in lines:
        marker = "o" if len(steps) <= 30 else None
        axes.plot(steps, values, color=color, label=label, linewidth=1.5, marker=marker, markersize=4)
    axes.set_ylim(*limits)
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}" if step == round(step) else "")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.ticklabel_format(axis="y", useOffset=False)
    if 1 < len(lines) <= LEGEND_ENTRIES:
        axes.legend(frameon=False, fontsize=9)
