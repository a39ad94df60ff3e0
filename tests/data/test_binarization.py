import numpy as np
import pytest

from ctc_jax.data.binarization import binarized


@pytest.mark.parametrize("highest", [255, 7, 1])
def test_each_level_is_one_with_its_share_of_the_highest(highest):
    levels = np.array([0, 1, highest // 2, highest - 1, highest], np.uint8)
    images = np.broadcast_to(levels, (20_000, 1, 1, 5))
    drawn = binarized(images, highest, np.random.default_rng(0))
    assert drawn.dtype == np.uint8
    assert set(np.unique(drawn)) == {0, 1}
    share = levels / highest
    error = np.sqrt(share * (1 - share) / 20_000)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=(0, 1, 2)) - share), 4.5 * error + 1e-12)
