"""Class labels that somebody hands over, checked. Tests: tests/data/test_labels.py."""

from typing import Any

import numpy as np
from jaxtyping import Int32

MAXIMUM_CLASSES = 2**20  # five times the largest public sets of labels: numbers beyond it are identifiers


def checked_labels(labels: Any, count: int, classes: int = MAXIMUM_CLASSES) -> Int32[np.ndarray, " n"]:
    """The labels of `count` images, each of 0 .. classes - 1.

    Raises:
      ValueError: they are something else; the message says what was found and what is allowed.
    """
    array = np.asarray(labels)
    whole = array.dtype == bool or np.issubdtype(array.dtype, np.integer)
    if not whole or array.shape != (count,) or (count and not 0 <= array.min() <= array.max() < classes):
        held = f" from {array.min()} to {array.max()}" if whole and array.size else ""
        noun = "class" if count == 1 else "classes"
        raise ValueError(
            f"labels are {array.dtype} of shape {array.shape}{held}; allowed: {count} {noun}, each a whole number"
            f" of 0 to {classes - 1:,}"
        )
    return array.astype(np.int32)
