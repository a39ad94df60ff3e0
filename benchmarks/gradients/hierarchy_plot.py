"""Lines of variance against depth. Part of hierarchy_gradients.py."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.pictures import save_figure


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A part of the model a column, a snapshot a row, an estimator a line; solid where unbiased."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    parts = sorted({row["part"] for row in rows}, key=lambda part: (not part.startswith("level"), part))
    snapshots, names = sorted({row["snapshot"] for row in rows}), list(dict.fromkeys(row["estimator"] for row in rows))
    depths = sorted({row["levels"] for row in rows})
    colors = dict(zip(names, pyplot.get_cmap("tab10").colors * 2, strict=False))
    size = (2.5 * len(parts) + 0.6, 2.6 * len(snapshots) + 0.9)
    figure, panels = pyplot.subplots(
        len(snapshots), len(parts), figsize=size, sharex=True, sharey="row", layout="constrained", squeeze=False
    )
    for panel_row, snapshot in zip(panels, snapshots, strict=True):
        for panel, part in zip(panel_row, parts, strict=True):
            for name in names:
                chosen = [
                    row for row in rows if (row["snapshot"], row["part"], row["estimator"]) == (snapshot, part, name)
                ]
                if chosen:
                    style = "o-" if chosen[0]["unbiased"] == "yes" else "o--"
                    of_depth = [row["levels"] for row in chosen]
                    panel.plot(
                        of_depth,
                        [row["variance"] for row in chosen],
                        style,
                        color=colors[name],
                        markersize=4,
                        label=name,
                    )
            panel.set_yscale("log")
            panel.set_xticks(depths)
            panel.set_title(f"{part}, {snapshot:,} steps", fontsize=9)
            panel.grid(color="#dddddd", linewidth=0.6)
        panel_row[0].set_ylabel("variance, summed over components")
    for panel in panels[-1]:
        panel.set_xlabel("levels L")
    found = {
        label: handle for panel in panels.flat for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)
    pyplot.close(figure)
