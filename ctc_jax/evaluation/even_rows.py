"""Some images of many, evenly apart: data may be sorted by class. Tests: tests/evaluation/test_even_rows.py."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from ctc_jax.data import Batch, Split


def even_rows(size: int, count: int) -> Int[np.ndarray, " rows"]:
    """At most `count` of `size` rows, in order, all of them where there are no more."""
    count = min(size, count)
    return np.arange(count) * size // count


def even_batch(split: Split, count: int) -> Batch:
    """At most `count` of its images, with their labels."""
    rows = even_rows(len(split), count)
    return Batch(jnp.asarray(split.images[rows]), jnp.asarray(split.labels[rows]))
