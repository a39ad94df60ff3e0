"""Histograms of ranks that should be even, with the band that even ones stay in. Tests: test_rank_histograms.py."""

import io
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

COLUMNS = 4


def even_band(images: int, bins: int, *, share: float = 0.99) -> tuple[int, int]:
    """The counts between which all bins of a histogram stay together in at least `share` of cases (Bonferroni)."""
    from scipy import stats  # late: it takes as long to import as JAX

    outside = (1.0 - share) / bins
    low, high = stats.binom.ppf([outside / 2, 1.0 - outside / 2], images, 1.0 / bins)
    return int(low), int(high)


def draw_rank_histograms(panels: Mapping[str, Int[np.ndarray, " bins"]]) -> bytes:
    """A PNG with a panel each: counts by the words above them.

    Args:
      panels: at least one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # late, as in curves.py
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.0 * rows), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (words, counts) in zip(places, panels.items(), strict=False):
        low, high = even_band(int(counts.sum()), len(counts))
        axes.axhspan(low, high, color="#cfd8e3")
        axes.axhline(counts.sum() / len(counts), color="#5b6570", linewidth=0.8)
        inside = (counts >= low) & (counts <= high)
        colors = np.where(inside, "#3b76af", "#c2452d")
        axes.bar((np.arange(len(counts)) + 0.5) / len(counts), counts, width=0.85 / len(counts), color=colors)
        axes.set_title(words, loc="left", fontsize=8)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1])
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
