"""The sweep's page: a table of runs and their headline numbers, and means over seeds. Tests: test_summary.py."""

import dataclasses
import html
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctc_jax.errors import UserError
from ctc_jax.options import flatten
from ctc_jax.reporting.number_tables import cell, heading, wide_table
from ctc_jax.reporting.page import REPORT, table, write_page
from ctc_jax.reporting.writers import encode_number, read_history
from ctc_jax.sweeps.expand import Trial
from ctc_jax.sweeps.ledger import write_whole

SPLITS = ("test", "validation", "train")  # the first one that a run has lines of gives its numbers


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run stands: `waiting`, `running`, `finished`, `stopped` or `failed`, and its exit code once it ended."""

    state: str
    exit_code: int | None = None


def read_numbers(workdir: Path) -> tuple[str, int | None, dict[str, int | float]]:
    """The split and step of a run's newest line of numbers, and the numbers; ("", None, {}) when there is none."""
    try:
        history = read_history(workdir)
    except UserError:  # one run's broken file is no reason to have no page
        return "", None, {}
    for split in SPLITS:
        lines = [entry for entry in history if entry["split"] == split]
        if lines:
            numbers = {key: value for key, value in lines[-1].items() if key not in ("step", "split")}
            return split, lines[-1]["step"], numbers
    return "", None, {}


def write_summary(
    root: Path,
    *,
    config_file: str,
    sweep_file: str,
    trials: Sequence[Trial],
    outcomes: Mapping[str, Outcome],
) -> None:
    """Writes `root/sweep.json` and `root/sweep.html` from each run's `metrics.jsonl` and `config.json`."""
    rows = []
    for trial in trials:
        outcome = outcomes[trial.name]
        split, step, numbers = read_numbers(root / trial.name)
        rows.append(
            {
                "name": trial.name,
                "state": outcome.state,
                "exit_code": outcome.exit_code,
                "overrides": trial.overrides,
                "split": split,
                "step": step,
                "numbers": {key: encode_number(value) for key, value in numbers.items()},
                "config": _read_config(root / trial.name / "config.json"),
            }
        )
    text = json.dumps({"config_file": config_file, "sweep_file": sweep_file, "runs": rows}, indent=1, default=str)
    write_whole(root / "sweep.json", text)
    title = f"{Path(sweep_file).stem} on {Path(config_file).stem}"
    write_page(root / "sweep.html", title, _body(root, title, config_file, sweep_file, rows))


def over_seeds(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Runs that differ in the seed alone as one row: their number, and each number's mean and standard deviation.

    Only finished runs count: others may hold figures of an earlier start, or of fewer steps. The deviation (with n - 1)
    is None for a single run. A value that is not finite makes the mean NaN.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["state"] == "finished" and row["numbers"]:
            rest = {key: value for key, value in row["overrides"].items() if key != "seed"}
            groups.setdefault(json.dumps([rest, row["split"]], default=str), []).append(row)
    result = []
    for members in groups.values():
        overrides = {key: value for key, value in members[0]["overrides"].items() if key != "seed"}
        names = [name for name in members[0]["numbers"] if all(name in row["numbers"] for row in members)]
        numbers = {name: _mean_and_deviation([float(row["numbers"][name]) for row in members]) for name in names}
        result.append({"overrides": overrides, "split": members[0]["split"], "runs": len(members), "numbers": numbers})
    return result


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    if not all(map(math.isfinite, values)):
        return math.nan, None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def _read_config(path: Path) -> dict[str, Any] | None:
    try:
        return flatten(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError):
        return None


def _body(root: Path, title: str, config_file: str, sweep_file: str, rows: Sequence[Mapping[str, Any]]) -> str:
    states = [row["state"] for row in rows]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    keys = list(dict.fromkeys(key for row in rows for key in row["overrides"]))
    # One layer's numbers belong to the run's own report.
    names = list(dict.fromkeys(name for row in rows for name in row["numbers"] if "/" not in name))
    parts = [f"<h1>{html.escape(title)}</h1>", table({"config": config_file, "sweep": sweep_file, **counts})]

    grouped = over_seeds(rows)
    if any(group["runs"] > 1 for group in grouped):
        group_keys = [key for key in keys if key != "seed"]
        cells = [
            [*(_text(group["overrides"].get(key)) for key in group_keys), str(group["runs"]), group["split"]]
            + [_plus_minus(group["numbers"].get(name), name) for name in names]
            for group in grouped
        ]
        parts += ["<h2>Over seeds: mean ± standard deviation</h2>"]
        parts.append(wide_table([*group_keys, "runs", "split", *map(heading, names)], cells))

    cells = []
    for row in rows:
        values = [_text(row["overrides"].get(key)) for key in keys]
        numbers = [cell(row["numbers"].get(name), name) for name in names]
        cells.append([_link(root, row["name"]), _state(row), *values, row["split"], _text(row["step"]), *numbers])
    parts += ["<h2>Runs</h2>", wide_table(["run", "state", *keys, "split", "step", *map(heading, names)], cells)]
    return "\n".join(parts)


def _text(value: Any) -> str:
    return "" if value is None else html.escape(f"{value:,}" if type(value) is int else str(value))


def _plus_minus(value: tuple[float, float | None] | None, name: str) -> str:
    if value is None:
        return ""
    mean, deviation = value
    return cell(mean, name) + ("" if deviation is None else f" ± {float(f'{deviation:.2g}'):g}")


def _state(row: Mapping[str, Any]) -> str:
    return f"failed ({row['exit_code']})" if row["state"] == "failed" else row["state"]


def _link(root: Path, name: str) -> str:
    words = html.escape(name)
    has_report = (root / name / REPORT).is_file()
    return f'<a href="{words}/{REPORT}">{words}</a>' if has_report else words
