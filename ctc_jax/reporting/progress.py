"""Progress of a run: a bar on a terminal, plain lines elsewhere, with an ETA. Tests: test_progress.py."""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, SupportsFloat, TextIO

from tqdm import tqdm

from ctc_jax import process
from ctc_jax.reporting.units import describe

FADE = 0.05  # share of the run's steps after which the speed before a restart no longer counts
BAR_COLUMNS = 6  # of a bar at least, where there is room for it beside the bound and the ETA


class _Bar(tqdm):
    monitor_interval = 0  # no watching thread: a thread and a fork do not go together


class Progress:
    """Tells how far a run is, and when it will be done.

    The ETA is the steps left times the seconds a step took between this process's first report and its last, so
    that compiling, which comes before the first report, is not multiplied by the steps left. After a restart the
    speed of the steps before it stands in until this process has measured its own.

    Args:
      total_steps: steps of the whole run.
      first_step: steps done before this process.
      elapsed_before_s: seconds these steps took.
      stream: where to write; standard error when None.
      clock: seconds that only increase.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        first_step: int = 0,
        elapsed_before_s: float = 0.0,
        stream: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._total, self._first, self._before, self._clock = total_steps, first_step, elapsed_before_s, clock
        self._stream: TextIO = sys.stderr if stream is None else stream
        self._start = clock()
        self._step = first_step
        self._anchor: tuple[int, float] | None = None  # step and time of the first report
        self._last: tuple[int, float] | None = None
        self._bar = None
        self._told = process.is_leader()  # of several processes only the leading one tells
        if self._told and self._stream.isatty():
            self._bar = _Bar(
                total=total_steps,
                initial=first_step,
                file=self._stream,
                dynamic_ncols=True,
                bar_format="{percentage:3.0f}%|{bar}| {n:,}/{total:,}  {desc}",
                colour=None if os.environ.get("NO_COLOR") else "blue",  # https://no-color.org
            )

    @property
    def elapsed_s(self) -> float:
        """Seconds the run has taken, those before the restart included; what the next process is to be told."""
        return self._before + self._clock() - self._start

    def eta_s(self) -> float | None:
        """Seconds left, or None when nothing is known yet."""
        left = self._total - self._step
        done = self._step - self._first
        before = self._before / self._first if self._first and self._before else None
        measured = None
        if self._anchor is not None and self._last is not None and self._last[0] > self._anchor[0]:
            measured = (self._last[1] - self._anchor[1]) / (self._last[0] - self._anchor[0])
        if before is not None and measured is not None:
            weight = max(0.0, 1 - done / (FADE * self._total))
            return left * (weight * before + (1 - weight) * measured)
        if before is not None or measured is not None:
            return left * (before if measured is None else measured)
        return left * (self._clock() - self._start) / done if done else None

    def advance(self, step: int) -> None:
        """Moves the bar; elsewhere nothing is written. Cheap enough for every step."""
        self._step = step
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def report(self, step: int, numbers: Mapping[str, SupportsFloat]) -> None:
        """Shows the numbers of a step and the ETA; a terminal too narrow for all leaves out the last numbers first.

        Args:
          step: steps done.
          numbers: for example `bound_bpd` and `images_per_second`; the first one is always shown.
        """
        self._step = step
        self._last = (step, self._clock())
        self._anchor = self._anchor or self._last
        phrases = [describe(name, value) for name, value in numbers.items()]
        eta = f"ETA {format_duration(self.eta_s())}"
        if self._bar is not None:
            columns = self._bar.format_dict["ncols"] or math.inf  # asked each time: a window may have changed
            room = columns - BAR_COLUMNS - len(f"100%|| {self._total:,}/{self._total:,}  ")
            while len(phrases) > 1 and len("  ".join([*phrases, eta])) > room:
                phrases.pop()
            self._bar.set_description_str("  ".join([*phrases, eta]), refresh=False)
            self._bar.update(step - self._bar.n)
            self._bar.refresh()
        else:
            self._print("  ".join([f"step {step:,}/{self._total:,}", *phrases, eta]))

    def message(self, text: str) -> None:
        """Prints a line, above the bar when there is one."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            self._print(text)

    def close(self) -> None:
        """Leaves the bar as it stands and ends its line."""
        if self._bar is not None:
            self._bar.close()

    def _print(self, text: str) -> None:
        if self._told:
            print(text, file=self._stream, flush=True)


def format_duration(seconds: float | None) -> str:
    """`0:07:31`, `2 d 3:04:05`, or `unknown`."""
    if seconds is None:
        return "unknown"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{hour}:{minute:02d}:{second:02d}"
    return f"{days} d {clock}" if days else clock
