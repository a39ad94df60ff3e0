import numpy as np
import pytest
from scipy import ndimage

from ctc_jax.evaluation.sharpness import laplacian_variance


@pytest.mark.parametrize("shape", [(3, 6, 5, 1), (2, 8, 8, 3), (1, 3, 4, 4)])
def test_equals_the_variance_of_scipys_laplacian_over_inner_pixels(shape):
    images = np.random.default_rng(0).integers(0, 32, shape).astype(np.uint8)
    expected = [ndimage.laplace(image.mean(axis=-1) / 31)[1:-1, 1:-1].var() for image in images]
    np.testing.assert_allclose(laplacian_variance(images, 31), expected, rtol=1e-12)


def test_a_slope_has_none():
    slope = np.add.outer(3 * np.arange(6), 5 * np.arange(7))[None, :, :, None]
    np.testing.assert_allclose(laplacian_variance(slope, 255), 0.0, atol=1e-25)


def test_blurring_lowers_it():
    image = np.random.default_rng(1).uniform(0, 255, (1, 16, 16, 1))
    blurred = ndimage.gaussian_filter(image, (0, 1, 1, 0))
    assert laplacian_variance(blurred, 255)[0] < 0.1 * laplacian_variance(image, 255)[0]


def test_it_does_not_depend_on_the_number_of_bits():
    coarse = np.random.default_rng(2).integers(0, 2, (2, 5, 5, 1))
    np.testing.assert_allclose(laplacian_variance(255 * coarse, 255), laplacian_variance(coarse, 1), rtol=1e-12)
