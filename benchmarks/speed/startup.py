"""Seconds from the start of a process to the end of its first training step: cold, warm and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.machine import ROOT

POLL_SECONDS = 0.01
LIMIT_SECONDS = 600.0


def measure(config: str, overrides: Sequence[str], directory: Path, repeats: int) -> dict[str, float]:
    """Runs launch.py, each time stopping it after its first step.

    Args:
      config: as after `--config=`.
      overrides: further arguments of launch.py.
      directory: empty; gets runs and the compilation cache.
      repeats: of the warm and the resumed start, whose median is taken.

    Returns:
      `cold_seconds` with an empty compilation cache, `warm_seconds` with the one the cold start filled, and
      `resume_seconds`, warm and from a checkpoint.
    """
    # A line of metrics a step, and no checkpoint but that of the signal.
    command = [sys.executable, "launch.py", f"--config={config}", "--config.train.log_every=1", *overrides]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(directory / "compiled")}
    resumed = directory / "cold"
    cold = first_step(command, resumed, environment)
    warm = [first_step(command, directory / f"warm-{index}", environment) for index in range(repeats)]
    again = [first_step(command, resumed, environment) for _ in range(repeats)]
    return {"cold_seconds": cold, "warm_seconds": _median(warm), "resume_seconds": _median(again)}


def first_step(command: Sequence[str], workdir: Path, environment: dict[str, str]) -> float:
    """Seconds until the run in `workdir` has written the metrics of a step it had not yet done; then stops it."""
    metrics = workdir / "metrics.jsonl"
    before = last_step(metrics)
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, f"--workdir={workdir}"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        while last_step(metrics) <= before:
            if process.poll() is not None or time.perf_counter() - start > LIMIT_SECONDS:
                process.kill()
                raise RuntimeError(process.communicate()[0].decode())
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LIMIT_SECONDS)
    return seconds


def last_step(metrics: Path) -> int:
    """The last training step with a whole line in metrics.jsonl; 0 where there is none."""
    if not metrics.exists():
        return 0
    lines = [json.loads(line) for line in metrics.read_text().split("\n")[:-1]]
    return max((line["step"] for line in lines if line["split"] == "train"), default=0)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
