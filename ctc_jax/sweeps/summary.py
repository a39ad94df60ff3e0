"""What is known of the runs of a sweep, as JSON and as a page. Tests: test_summary.py."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctc_jax.errors import UserError
from ctc_jax.options import flatten
from ctc_jax.reporting.curves import History
from ctc_jax.reporting.writers import encode_number, read_history
from ctc_jax.sweeps.expand import Trial
from ctc_jax.sweeps.ledger import write_whole
from ctc_jax.sweeps.over_seeds import SPLITS
from ctc_jax.sweeps.page import write_sweep_page


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run stands: `waiting`, `running`, `finished`, `stopped` or `failed`, and its exit code once it ended."""

    state: str
    exit_code: int | None = None


def newest(history: History) -> tuple[str, int | None, dict[str, int | float]]:
    """The split and step of a run's newest line of numbers, and the numbers; ("", None, {}) when there is none."""
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
    rows, histories = [], {}
    for trial in trials:
        outcome = outcomes[trial.name]
        history = _read_history(root / trial.name)
        split, step, numbers = newest(history)
        if history:
            histories[trial.name] = history
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
    states = [row["state"] for row in rows]
    about = {"config": config_file, "sweep": sweep_file, **{state: states.count(state) for state in states}}
    title = f"{Path(sweep_file).stem} on {Path(config_file).stem}"
    write_sweep_page(root / "sweep.html", title, about, rows, histories)


def _read_history(workdir: Path) -> History:
    try:
        return read_history(workdir)
    except UserError:  # one run's broken file is no reason to have no page
        return []


def _read_config(path: Path) -> dict[str, Any] | None:
    try:
        return flatten(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError):
        return None
