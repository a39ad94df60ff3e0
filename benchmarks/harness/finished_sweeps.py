"""Whole sweeps for a page: made by launch.py in a process of its own, resumed when broken off, reused when finished."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from benchmarks.harness import finished_runs
from benchmarks.harness.machine import ROOT
from ctc_jax.errors import SAVED_EXIT_CODE
from ctc_jax.run import Run
from ctc_jax.sweeps.expand import load_sweep


def finish_sweep(config: str, sweep: str, root: Path, *, parallel: int = 1, overrides: Sequence[str] = ()) -> None:
    """Trains and evaluates every run of the sweep that is not finished.

    Args:
      config: as after `--config=`.
      sweep: as after `--sweep=`.
      root: directory of the sweep.
      parallel: runs at once.
      overrides: further arguments of launch.py.

    Raises:
      SystemExit: launch.py failed; it has said why.
    """
    command = [sys.executable, "launch.py", f"--config={config}", f"--sweep={sweep}", f"--workdir={root}"]
    command += [f"--sweep_parallel={parallel}", *overrides]
    if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(code if code == SAVED_EXIT_CODE else f"error: the sweep of {config} failed; see {root}")


def finished(
    base: ml_collections.ConfigDict, sweep: str, root: Path, row_name: Callable[[Mapping[str, Any]], str]
) -> dict[str, dict[int, Run]]:
    """The finished runs of a sweep by row and seed.

    Args:
      base: the config that the sweep changes.
      sweep: its file.
      root: its directory.
      row_name: of a run's overrides without the seed.

    Raises:
      SystemExit: there is none.
    """
    found: dict[str, dict[int, Run]] = {}
    for trial in load_sweep(str(ROOT / sweep), base).trials:
        overrides, workdir = dict(trial.overrides), root / trial.name
        seed = overrides.pop("seed")
        if (run := finished_runs.finished(workdir)) is not None:
            found.setdefault(row_name(overrides), {})[seed] = run
    if not found:
        sys.exit(f"error: no finished run in {root}; without --tabulate they are made")
    return found


def test_figures(runs: Mapping[str, Mapping[int, Run]]) -> dict[str, dict[int, dict[str, float]]]:
    """The last figures of the test set, by row and seed."""

    def last(run: Run) -> dict[str, float]:
        return [line for line in run.history if line["split"] == "test"][-1]

    return {name: {seed: last(run) for seed, run in by_seed.items()} for name, by_seed in runs.items()}
