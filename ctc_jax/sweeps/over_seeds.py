"""Means over the runs of a sweep that differ in the seed alone. Tests: tests/sweeps/test_over_seeds.py."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]  # a run, as in `sweep.json`
Mean = tuple[float, float | None]  # and its standard error

SPLITS = ("test", "validation", "train")  # the first one that a run has lines of gives its numbers
FINISHED = "finished"


def without_seed(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What a run changes beside the seed."""
    return {key: value for key, value in overrides.items() if key != "seed"}


def over_seeds(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Runs that differ in the seed alone as one row: their number, and each number's mean and its standard error.

    Only finished runs count: others may hold figures of an earlier start, or of fewer steps. The error is the standard
    deviation (with n - 1) over the square root of n, and None for a single run. A value that is not finite makes the
    mean NaN.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row["state"] == FINISHED and row["numbers"]:
            rest = without_seed(row["overrides"])
            groups.setdefault(json.dumps([rest, row["split"]], default=str), []).append(row)
    result = []
    for members in groups.values():
        names = [name for name in members[0]["numbers"] if all(name in row["numbers"] for row in members)]
        numbers = {name: _mean([float(row["numbers"][name]) for row in members]) for name in names}
        overrides = without_seed(members[0]["overrides"])
        result.append({"overrides": overrides, "split": members[0]["split"], "runs": len(members), "numbers": numbers})
    return result


def _mean(values: Sequence[float]) -> Mean:
    if not all(map(math.isfinite, values)):
        return math.nan, None
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return statistics.fmean(values), error
