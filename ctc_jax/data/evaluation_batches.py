"""A split in batches of one size, for evaluation. Tests: tests/data/test_evaluation_batches.py."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from ctc_jax.data.dataset import Batch, Split


def evaluation_batches(split: Split, batch_size: int) -> Iterator[tuple[Batch, Float32[np.ndarray, " batch"], int]]:
    """Each image exactly once, in order, in batches of one size.

    Yields:
      The batch (host arrays), the weight of each of its images (0 for the repeats of the last image that fill the
      last batch, else 1), and the index of its first image.
    """
    for first in range(0, len(split), batch_size):
        rows = np.arange(first, first + batch_size)
        kept = np.minimum(rows, len(split) - 1)
        yield Batch(split.images[kept], split.labels[kept]), (rows < len(split)).astype(np.float32), first
