import numpy as np
import pytest

from ctc_jax.evaluation.even_rows import even_rows


@pytest.mark.parametrize(("size", "count"), [(10, 10), (10, 3), (7, 20), (1000, 999), (60_000, 10_000)])
def test_rows_are_different_in_order_and_evenly_far_apart(size, count):
    rows = even_rows(size, count)
    assert len(rows) == min(size, count)
    assert (rows[0], rows[-1] < size) == (0, True)
    steps = np.diff([*rows, size])
    assert steps.min() >= size // len(rows) >= 1
    assert steps.max() <= -(-size // len(rows))
