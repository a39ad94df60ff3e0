"""Some images of many, evenly apart. Tests: tests/evaluation/test_even_rows.py."""

import numpy as np
from jaxtyping import Int


def even_rows(size: int, count: int) -> Int[np.ndarray, " rows"]:
    """At most `count` of `size` rows, in order, all of them where there are no more: data may be sorted by class."""
    count = min(size, count)
    return np.arange(count) * size // count
