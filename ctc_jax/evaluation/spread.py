"""Some images of many, evenly spread. Tests: tests/evaluation/test_spread.py."""

import numpy as np
from jaxtyping import Int


def spread(size: int, count: int) -> Int[np.ndarray, " rows"]:
    """At most `count` of `size` rows, in order, all of them where there are no more: data may be sorted by class."""
    count = min(size, count)
    return np.arange(count) * size // count
