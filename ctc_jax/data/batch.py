"""A minibatch of images and labels. Tests: tests/data/test_batches.py."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Int32, Integer


class Batch(NamedTuple):
    """Images as integer levels 0 .. 2**bits - 1, and class labels (0 where a dataset has none)."""

    image: Integer[Array | np.ndarray, "*batch height width channels"]
    label: Int32[Array | np.ndarray, "*batch"]
