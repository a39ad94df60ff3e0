"""Metrics as JSON lines, mirrored to TensorBoard and Weights & Biases on request. Tests: test_writers.py.

One object a line: `step`, `split`, then numbers. JSON has no NaN and no infinity; they are written as the strings
"NaN", "Infinity" and "-Infinity", and `read_history` gives them back as floats.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np

from ctc_jax import process
from ctc_jax.errors import UserError
from ctc_jax.reporting.event_file import EventFile
from ctc_jax.whole_file import replaced

HISTORY = "metrics.jsonl"
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class MetricWriter:
    """Appends to `workdir/metrics.jsonl`; every line is flushed, so that a killed run loses none.

    Of several processes only the leading one writes.

    Args:
      workdir: the run's folder; made when missing.
      tensorboard: also write event files under `workdir/tensorboard`.
      wandb_project: also log to this Weights & Biases project; "" is off.

    Raises:
      UserError: a project is named and the package wandb is missing.
    """

    def __init__(self, workdir: Path, *, tensorboard: bool, wandb_project: str = ""):
        self._file = self._tensorboard = self._wandb = None
        if not process.is_leader():
            return
        self._wandb = _start_wandb(workdir, wandb_project) if wandb_project else None
        workdir.mkdir(parents=True, exist_ok=True)
        path = workdir / HISTORY
        lines = _whole_lines(path)
        if path.exists() and path.read_text() != "".join(lines):  # a killed run's half line would join ours
            _replace(path, lines)
        self._file = path.open("a", encoding="utf-8")
        if tensorboard:
            # Events of steps that a resumed run does again are hidden.
            first_step = 1 + max((json.loads(line)["step"] for line in lines), default=-1)
            self._tensorboard = EventFile(workdir / "tensorboard", first_step)

    def write(self, step: int, split: str, numbers: Mapping[str, SupportsFloat]) -> None:
        """Appends one line; in TensorBoard and Weights & Biases the tags are `split/name`."""
        if self._file is None:
            return
        values = {name: _plain(value) for name, value in numbers.items()}
        written = {name: encode_number(value) for name, value in values.items()}
        self._file.write(json.dumps({"step": step, "split": split, **written}, allow_nan=False) + "\n")
        self._file.flush()
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.scalar(step, f"{split}/{name}", value)
        if self._wandb is not None:
            self._wandb.log({f"{split}/{name}": value for name, value in values.items()}, step=step)

    def image(self, step: int, name: str, path: Path) -> None:
        """Mirrors a PNG or GIF to TensorBoard and Weights & Biases; the JSON lines hold numbers only."""
        if self._tensorboard is not None:
            self._tensorboard.image(step, name, path)
        if self._wandb is not None:
            import wandb

            self._wandb.log({name: wandb.Image(str(path))}, step=step)

    def hparams(self, config: Mapping[str, Any], split: str, names: Iterable[str]) -> None:
        """Mirrors a config, its keys dotted, for TensorBoard to compare runs by these numbers of a split."""
        if self._tensorboard is not None:
            simple = {key: value for key, value in config.items() if isinstance(value, str | bool | int | float)}
            self._tensorboard.hparams(simple, [f"{split}/{name}" for name in names])
        if self._wandb is not None:
            self._wandb.config.update(dict(config), allow_val_change=True)

    def close(self) -> None:
        """Closes every file, the others as well where one cannot be; writing afterwards is an error.

        Raises:
          OSError: the disk is full.
        """
        with contextlib.ExitStack() as closing:
            if self._file is not None:
                closing.callback(self._file.close)
            if self._tensorboard is not None:
                closing.callback(self._tensorboard.close)
            if self._wandb is not None:
                closing.callback(self._wandb.finish)


def read_history(workdir: Path) -> list[dict]:
    """Every line of `workdir/metrics.jsonl` in order, without a last line cut short; [] when there is no file.

    Raises:
      UserError: a line other than the last is not JSON, or one is not a step, a split and numbers.
    """
    return [
        {key: value if key == "split" else NOT_FINITE.get(value, value) for key, value in json.loads(line).items()}
        for line in _whole_lines(workdir / HISTORY)
    ]


def is_done(history: Sequence[Mapping[str, Any]], steps: int) -> bool:
    """Whether a run with these lines has reached its last step, and its figures of the test set are written."""
    trained = any(line["split"] == "train" and line["step"] >= steps for line in history)
    return trained and any(line["split"] == "test" for line in history)


def truncate_history(workdir: Path, step: int) -> None:
    """Drops the lines of later steps, and a last line cut short; all or nothing.

    A run resumed at `step` does the later steps again and so writes their lines again, whatever their split. To be
    called before a `MetricWriter` opens the file.

    Raises:
      UserError: a line other than the last is not JSON, or one is not a step, a split and numbers.
    """
    path = workdir / HISTORY
    if path.exists() and process.is_leader():
        _replace(path, [line for line in _whole_lines(path) if json.loads(line)["step"] <= step])


def _plain(value: SupportsFloat) -> int | float:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    return float(value)


def encode_number(value: int | float) -> int | float | str:
    """The number as JSON can hold it: itself, "NaN", "Infinity" or "-Infinity"."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _whole_lines(path: Path) -> list[str]:
    """The file's lines, each ending in a newline, without a last one that is not whole JSON."""
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise UserError(f"{path} is no regular file")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            if number < len(lines):
                raise UserError(f"{path} line {number} is not JSON; mend or remove that line") from None
            lines = lines[:-1]
            continue
        if not _is_entry(entry):
            raise UserError(f"{path} line {number} is not a step, a split and numbers; mend or remove that line")
    return [line + "\n" for line in lines]


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and type(entry.get("step")) is int
        and isinstance(entry.get("split"), str)
        and all(type(value) in (int, float) or value in [*NOT_FINITE] for key, value in entry.items() if key != "split")
    )


def _replace(path: Path, lines: list[str]) -> None:
    with replaced(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _start_wandb(workdir: Path, project: str):
    try:
        import wandb
    except ImportError:
        raise UserError(
            f"config.report.wandb_project is {project!r}, but the package wandb is not installed; "
            "install wandb, or set it to '' to turn this off"
        ) from None
    # The same folder is the same run, so that a resumed run goes on in one curve.
    identity = hashlib.sha256(str(workdir.resolve()).encode()).hexdigest()[:16]
    return wandb.init(project=project, name=workdir.name, id=identity, resume="allow", dir=str(workdir))
