"""The page of a sweep: means over seeds, curves, samples and runs, all beside each other. Tests: test_page.py."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ctc_jax.reporting.curves import BOUNDS, History, color, robust_limits, series
from ctc_jax.reporting.number_tables import cell, heading
from ctc_jax.reporting.page import REPORT, table, write_page
from ctc_jax.reporting.panel import Line, draw_panel
from ctc_jax.reporting.sortable_table import SCRIPT, STYLE, Cell, Column, sortable_table
from ctc_jax.reporting.units import split_unit
from ctc_jax.sweeps.over_seeds import FINISHED, SPLITS, Mean, Row, over_seeds, without_seed

FIRST = ("importance_bound_nats", "elbo_nats", "importance_bound_bpd", "bound_bpd")  # of the numbers, where there
SAMPLES = "samples/samples.png"  # of a run
PAGE_STYLE = (
    STYLE
    + """
body { max-width: 90rem }
.swatch { display: inline-block; width: .7rem; height: .7rem; border-radius: .2rem; margin-right: .45rem }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 45%), 1fr)); gap: 1rem;
  align-items: end }
.samples figure { margin: 0 }
.samples img { width: 100% }
.one { max-width: 38rem }
"""
)


def write_sweep_page(
    path: Path, title: str, about: Mapping[str, Any], rows: Sequence[Row], histories: Mapping[str, History]
) -> None:
    """Writes the page; it refers to the reports and samples of the runs, which lie beside it.

    Args:
      path: the HTML file.
      title: the heading.
      about: of the sweep, below it.
      rows: a mapping per run, as in `sweep.json`.
      histories: the lines of each run that has some, by its name.
    """
    root, groups = path.parent, over_seeds(rows)
    keys = list(dict.fromkeys(key for row in rows for key in row["overrides"]))
    labels = list(dict.fromkeys(_label(row["overrides"]) for row in rows))
    colors = {label: color(index, len(labels)) for index, label in enumerate(labels)}
    # One layer's numbers belong to the run's own report.
    names = list(dict.fromkeys(name for row in rows for name in row["numbers"] if "/" not in name))
    names = [name for name in FIRST if name in names] + [name for name in names if name not in FIRST]
    parts = [f"<h1>{html.escape(title)}</h1>", f'<div class="overview">{table(about)}</div>']
    if any(group["runs"] > 1 for group in groups):
        parts += ["<h2>Over seeds: mean ± standard error of finished runs</h2>", _means(groups, keys, names, colors)]
    if histories:
        parts += ["<h2>Training</h2>", f'<div class="panels one">{_curves(rows, histories, colors)}</div>']
    if pictures := _samples(root, rows, colors):
        parts += ["<h2>Samples: a latent of the prior, then pixels from the likelihood</h2>", pictures]
    parts += ["<h2>Runs</h2>", _runs(root, rows, keys, names, colors)]
    parts.append(f"<script>{SCRIPT}</script>")
    write_page(path, title, "\n".join(parts), style=PAGE_STYLE)


def better(name: str) -> int:
    """1 where a higher number of that name is better, -1 where a lower one is, 0 where neither."""
    if name.endswith("_bpd"):
        return -1
    return int(name.endswith(("bound_nats", "elbo_nats", "images_per_second")))


def _means(groups: Sequence[Mapping[str, Any]], keys: Sequence[str], names: Sequence[str], colors) -> str:
    keys = [key for key in keys if key != "seed"]
    columns = [Column("config"), Column("runs"), *_numbers(names), *map(Column, [*keys, "split"])]
    split = _first_split(groups)
    rows = [
        [
            Cell(_named(_label(group["overrides"]), colors)),
            _value(group["runs"]),
            *(_mean(group["numbers"].get(name), name, group["split"] == split) for name in names),
            *(_value(group["overrides"].get(key)) for key in keys),
            _value(group["split"]),
        ]
        for group in groups
    ]
    return sortable_table(columns, rows)


def _runs(root: Path, rows: Sequence[Row], keys: Sequence[str], names: Sequence[str], colors) -> str:
    columns = [Column("run"), Column("state"), *_numbers(names), *map(Column, [*keys, "split", "step"])]
    finished = [row for row in rows if row["state"] == FINISHED]
    split = _first_split(finished)
    cells = [
        [
            Cell(
                _swatch(colors[_label(row["overrides"])])
                + _link(root, row["name"], _label(row["overrides"], seed=True))
            ),
            _value(f"failed ({row['exit_code']})" if row["state"] == "failed" else row["state"]),
            *(
                _number(row["numbers"].get(name), name, row["state"] == FINISHED and row["split"] == split)
                for name in names
            ),
            *(_value(row["overrides"].get(key)) for key in keys),
            _value(row["split"]),
            _value(row["step"]),
        ]
        for row in rows
    ]
    return sortable_table(columns, cells)


def _curves(rows: Sequence[Row], histories: Mapping[str, History], colors: Mapping[str, str]) -> str:
    """The bound of each run, of the validation part where that was seen more than once, else in training."""
    lines = [line for history in histories.values() for line in history]
    validated = {line["step"] for line in lines if line["split"] == "validation"}
    split = "validation" if len(validated) > 1 else "train"
    found = {name for line in lines if line["split"] == split for name in line}
    bound = next((name for name in BOUNDS if name in found), BOUNDS[0])
    drawn = [
        (row["state"], Line(label, colors[label], *series(histories[row["name"]], split, bound)))
        for row in rows
        if row["name"] in histories
        for label in [_label(row["overrides"])]
    ]
    # One that failed may have ended anywhere.
    told = [line for state, line in drawn if state != "failed"] or [line for _, line in drawn]
    limits = robust_limits([line.values for line in told])
    return draw_panel(f"bound, {split}", split_unit(bound)[1], [line for _, line in drawn], limits)


def _samples(root: Path, rows: Sequence[Row], colors: Mapping[str, str]) -> str:
    """Those of one run for each config: of the first that is finished."""
    first: dict[str, str] = {}
    for row in rows:
        if row["state"] == FINISHED and (root / row["name"] / SAMPLES).is_file():
            first.setdefault(_label(row["overrides"]), row["name"])
    figures = [_figure(root, label, name, colors) for label, name in first.items()]
    return f'<div class="samples">{"".join(figures)}</div>' if figures else ""


def _figure(root: Path, label: str, name: str, colors: Mapping[str, str]) -> str:
    with Image.open(root / name / SAMPLES) as picture:
        width, height = picture.size  # so that nothing on the page moves when it is loaded, as late as it is seen
    of = html.escape(name)
    return (
        f'<figure><figcaption>{_named(label, colors)}</figcaption><a href="{of}/{REPORT}"><img loading="lazy" '
        f'src="{of}/{SAMPLES}" width="{width}" height="{height}" alt="Samples of {of}"></a></figure>'
    )


def _label(overrides: Mapping[str, Any], *, seed: bool = False) -> str:
    """What a run changes, beside the seed or with it, in words: `likelihood.name=ctc` is "likelihood ctc"."""
    changed = without_seed(overrides)
    if seed and "seed" in overrides:
        changed["seed"] = overrides["seed"]
    words = [f"{key.removesuffix('.name').rpartition('.')[2]} {value}" for key, value in changed.items()]
    return ", ".join(words) or "as it is"


def _named(label: str, colors: Mapping[str, str]) -> str:
    return _swatch(colors[label]) + html.escape(label)


def _swatch(shade: str) -> str:
    return f'<span class="swatch" style="background: {shade}"></span>'


def _link(root: Path, name: str, label: str) -> str:
    words, of = html.escape(label), html.escape(name)
    has_report = (root / name / REPORT).is_file()
    return f'<a href="{of}/{REPORT}" title="{of}">{words}</a>' if has_report else f'<span title="{of}">{words}</span>'


def _numbers(names: Sequence[str]) -> list[Column]:
    return [Column(heading(name), better(name)) for name in names]


def _first_split(rows: Sequence[Mapping[str, Any]]) -> str:
    """That of the rows which are compared: numbers of different splits are not."""
    return next((split for split in SPLITS if any(row["split"] == split for row in rows)), "")


def _number(value: Any, name: str, counts: bool) -> Cell:
    return Cell(cell(value, name), math.nan if value is None else float(value), counts)


def _mean(found: Mean | None, name: str, counts: bool) -> Cell:
    if found is None:
        return Cell("", math.nan)
    mean, error = found
    words = cell(mean, name) + ("" if error is None else f" ± {float(f'{error:.2g}'):g}")
    return Cell(words, float(mean), counts)


def _value(value: Any) -> Cell:
    """What a config or the sweep says."""
    if type(value) in (int, float):
        return Cell(html.escape(f"{value:,}" if type(value) is int else str(value)), value)
    return Cell(
        "" if value is None else html.escape(value if isinstance(value, str) else json.dumps(value, default=str))
    )
