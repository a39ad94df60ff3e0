"""Whole runs for a table: made by launch.py in a process of its own, resumed when broken off, reused when finished."""

import re
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

import ctc_jax
from benchmarks.harness.machine import ROOT
from ctc_jax.errors import SAVED_EXIT_CODE
from ctc_jax.reporting import is_done
from ctc_jax.run import Run

# Before a change KEY=VALUE; a value may have commas of its own.
COMMA = re.compile(r",(?=[\w.]+=)")


def name_of(config: str) -> str:
    """`configs/cifar_ctc.py:cpu,likelihood.ctc.components=5` -> `cifar_ctc-cpu-components=5`."""
    file, *changes = COMMA.split(config)
    path, _, preset = file.partition(":")
    # Of a change, the last part of its key; a value may have points of its own.
    changed = ["=".join((key.split(".")[-1], value)) for key, _, value in (change.partition("=") for change in changes)]
    return "-".join(part for part in (Path(path).stem, preset, *changed) if part)


def finish(config: str, root: Path, overrides: Sequence[str] = ()) -> Run:
    """The run of `config` in `root`, trained and evaluated.

    Args:
      config: as after `--config=`, then changes `,KEY=VALUE` of keys of the config.
      root: directory of all runs.
      overrides: further arguments of launch.py.

    Raises:
      SystemExit: launch.py failed; it has said why.
    """
    workdir = root.absolute() / name_of(config)
    file, *changes = COMMA.split(config)
    arguments = [f"--config={file}", f"--workdir={workdir}", *(f"--config.{change}" for change in changes), *overrides]
    print(f"{config} in {workdir}", flush=True)
    if code := subprocess.run([sys.executable, "launch.py", *arguments], cwd=ROOT, check=False).returncode:
        sys.exit(code if code == SAVED_EXIT_CODE else f"error: {config} failed; its run is {workdir}")
    return ctc_jax.load(workdir)


def finished(workdir: Path) -> Run | None:
    """The run of a directory, where it is trained and evaluated."""
    if not (workdir / "metrics.jsonl").exists():
        return None
    run = ctc_jax.load(workdir)
    return run if is_done(run.history, run.config.train.steps) else None


def last(run: Run, split: str) -> Mapping[str, Any]:
    """The last numbers of a split.

    Raises:
      SystemExit: there are none, because the run was interrupted.
    """
    lines = [line for line in run.history if line["split"] == split]
    if not lines:
        sys.exit(f"error: {run.workdir} has no numbers of split {split}; run the same command again to finish it")
    return lines[-1]


def training_figures(run: Run) -> dict[str, Any]:
    """Steps, parameters, seconds and speed."""
    rates = [line["images_per_second"] for line in run.history if line["split"] == "train"]
    return {
        "steps": int(run.config.train.steps),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(run.params)),
        "training_seconds": last(run, "train")["elapsed_seconds"],
        "images_per_second": statistics.median(rates),
    }
