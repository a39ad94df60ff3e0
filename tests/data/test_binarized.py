import numpy as np

from ctc_jax.data.binarized import binarized


def test_each_level_is_one_with_its_share_of_255():
    images = np.broadcast_to(np.array([0, 1, 100, 254, 255], np.uint8), (20_000, 1, 1, 5))
    drawn = binarized(images, np.random.default_rng(0))
    assert drawn.dtype == np.uint8
    assert set(np.unique(drawn)) == {0, 1}
    share = np.array([0, 1, 100, 254, 255]) / 255
    error = np.sqrt(share * (1 - share) / 20_000)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=(0, 1, 2)) - share), 4.5 * error + 1e-12)
