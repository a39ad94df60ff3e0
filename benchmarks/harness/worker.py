"""A process of its own for each thing that is timed, so that none shares threads or memory with another.

A worker prints one line when its first step is done; then each line it reads is a number of steps to take, answered
with a line when they are done. At the end of its input it prints one JSON line and exits. Imports neither library.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.machine import ROOT


class Worker:
    """The process, seen from the one that times it.

    Args:
      arguments: of Python: a module that ends in `serve` (`-m NAME`), and its arguments.
      environment: further variables.
      directory: in which it runs.

    Attributes:
      first_step_seconds: from the start of the process to the end of its first step.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None, directory: Path = ROOT):
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=directory,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()
        self.first_step_seconds = time.perf_counter() - start

    def advance(self, steps: int) -> None:
        """Has it take `steps` and waits."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        self._answer()

    def close(self) -> dict[str, Any]:
        """Ends it; what it reports."""
        return json.loads(self.process.communicate()[0].splitlines()[-1])

    def _answer(self) -> None:
        if not self.process.stdout.readline():
            raise RuntimeError(f"{self.process.args} ended with code {self.process.wait()}")


def serve(advance: Callable[[int], Any], report: Callable[[], dict[str, Any]] = dict) -> None:
    """The worker's side.

    Args:
      advance: takes a number of steps and waits for them.
      report: called at the end; the peak memory of the process is added.
    """
    advance(1)
    print("ready", flush=True)
    for line in sys.stdin:
        advance(int(line))
        print("done", flush=True)
    print(json.dumps({**report(), "peak_mib": peak_mib()}), flush=True)


def peak_mib() -> float:
    """Peak resident memory of this process; that of `getrusage` would begin with its parent's."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 2**10
