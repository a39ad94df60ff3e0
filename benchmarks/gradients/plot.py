"""Dots of bias, variance and price of gradient estimators. Part of gradient_variance.py."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.pictures import save_figure

PANELS = {
    "relative bias (hollow: below this)": ("logits relative bias", "logits bias limit"),
    "variance to rloo's, as many rewards": ("logits ratio", None),
    "variance x time to rloo-2's": ("logits variance x time", None),
    "same, encoder's parameters": ("encoder variance x time", None),
    "cosine of one draw": ("logits cosine", None),
}


def plot(title: str, tables: Mapping[int, Sequence[dict]], path: Path) -> None:
    """Dots: an estimator a line, a quantity a panel, a snapshot a color."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    last = tables[max(tables)]
    order = [row["estimator"] for row in sorted(last, key=lambda row: -row["logits variance"])]
    colors = pyplot.get_cmap("viridis")(np.linspace(0.85, 0.05, len(tables)))
    shown = {
        name: columns for name, columns in PANELS.items() if any(not math.isnan(row[columns[0]] or 0.0) for row in last)
    }
    figure, panels = pyplot.subplots(
        1, len(shown), figsize=(3.2 * len(shown) + 1.2, 1.6 + 0.26 * len(order)), sharey=True, layout="constrained"
    )
    for panel, (heading, (column, limit)) in zip(panels, shown.items(), strict=True):
        for color, rows in zip(colors, tables.values(), strict=True):
            for row in rows:
                value, height = row[column], order.index(row["estimator"])
                hidden = limit is not None and row["logits bias z"] < 4.0
                value = row[limit] if hidden else value
                if value and math.isfinite(value):
                    face = "none" if hidden else color
                    panel.plot(value, height, "o", markersize=6, markeredgecolor=color, markerfacecolor=face)
        if column != "logits cosine":
            panel.set_xscale("log")
            panel.axvline(1.0, color="#888888", linewidth=0.8)
        panel.set_title(heading, fontsize=9)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
    panels[0].set_yticks(range(len(order)), order, fontsize=9)
    handles = [
        pyplot.Line2D([], [], marker="o", linestyle="", color=color, label=f"{snapshot:,} steps")
        for color, snapshot in zip(colors, tables, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(title, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)
    pyplot.close(figure)
