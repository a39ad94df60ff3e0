"""Times of candidates that are to be compared, taken in turns. Tests: tests/benchmarks/harness/test_timing.py.

A machine's speed drifts by more than the differences to be seen, so candidates run in turns, and a ratio is that of
neighbors in time.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np


class Ratio(NamedTuple):
    """Median and quartiles of paired ratios."""

    median: float
    low: float
    high: float


def repetitions(work: Callable[[int], None], seconds: float) -> int:
    """How often `work` must be repeated to take `seconds`, at least once; runs it twice, once to warm up.

    Args:
      work: does its argument's number of repetitions and waits for them.
      seconds: of one turn.
    """
    work(1)
    start = time.perf_counter()
    work(1)
    return max(1, round(seconds / max(time.perf_counter() - start, 1e-9)))


def take_turns(
    candidates: Mapping[str, Callable[[int], None]], *, rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Seconds of one repetition of each candidate, once a round; the order turns round by round.

    Args:
      candidates: name -> work, which does its argument's number of repetitions and waits for them.
      rounds: turns of each candidate.
      seconds: of one turn, about.
    """
    counts = {name: repetitions(work, seconds) for name, work in candidates.items()}
    names, times = list(candidates), {name: [] for name in candidates}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            candidates[name](counts[name])
            times[name].append((time.perf_counter() - start) / counts[name])
    return times


def median_ms(seconds: list[float]) -> float:
    """The median, in milliseconds."""
    return 1e3 * float(np.median(seconds))


def ratio(seconds: list[float], reference: list[float]) -> Ratio:
    """`seconds / reference` within each round: median and quartiles."""
    paired = np.asarray(seconds) / np.asarray(reference)
    low, median, high = np.quantile(paired, (0.25, 0.5, 0.75))
    return Ratio(float(median), float(low), float(high))


def width_for(target: float, widths: tuple[int, int], times: tuple[float, float], multiple: int = 16) -> int:
    """The width whose step takes `target`, where a step takes a + b width^2 (convolutions) and two are known.

    Args:
      target: in the unit of `times`.
      widths: the two that were measured.
      times: of one step at these.
      multiple: the answer is one of these, and at least one.
    """
    (small, large), (fast, slow) = widths, times
    slope = (slow - fast) / (large**2 - small**2)
    square = (target - fast) / slope + small**2
    return multiple * max(1, round(math.sqrt(max(square, 0.0)) / multiple))
