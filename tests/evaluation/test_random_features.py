import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from ctc_jax.evaluation.random_features import WIDTHS, _weights, area_mean, random_features


def by_loops(image):
    """The stated network with scipy's correlation, one image."""
    hidden, features = 2.0 * image.astype(np.float64) - 1.0, []
    for layer, width in enumerate(WIDTHS):
        if layer:
            height, columns, channels = hidden.shape
            hidden = hidden.reshape(height // 2, 2, columns // 2, 2, channels).mean(axis=(1, 3))
        weights = _weights(layer, hidden.shape[-1], width).astype(np.float64)
        out = np.zeros((*hidden.shape[:2], width))
        for i, o in np.ndindex(hidden.shape[-1], width):
            out[..., o] += ndimage.correlate(hidden[..., i], weights[..., i, o], mode="constant")
        hidden = np.maximum(out, 0.0)
        height, columns, channels = hidden.shape
        quarters = hidden.reshape(2, height // 2, 2, columns // 2, channels).mean(axis=(1, 3))
        features.append(quarters.ravel())
    return np.concatenate(features)


def test_it_is_the_stated_network():
    images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 2))
    found = jax.jit(random_features)(images)
    np.testing.assert_allclose(found, [by_loops(np.asarray(image)) for image in images], rtol=1e-4, atol=1e-5)


def test_the_weights_are_these_on_every_machine():
    """Another generator of random numbers would be another feature space under the same name."""
    np.testing.assert_allclose(_weights(0, 1, 16).ravel()[:4], [-0.539, 0.03054022, -0.6440001, -0.76419914], rtol=1e-5)
    assert np.abs(_weights(2, 32, 64)).sum() == pytest.approx(1222.9197, rel=1e-5)


@pytest.mark.parametrize("shape", [(5, 7), (1, 2)])
def test_any_size_of_picture_has_as_many_features(shape):
    found = random_features(jnp.ones((3, *shape, 1)))
    assert found.shape == (3, 4 * sum(WIDTHS))
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize(("height", "width"), [(6, 4), (7, 5), (3, 2)])
def test_area_means_count_every_pixel_alike(height, width):
    features = jax.random.normal(jax.random.key(1), (2, height, width, 3))
    np.testing.assert_allclose(
        area_mean(features, 2, 2).mean(axis=(1, 2)), features.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6
    )
    finer = features.repeat(2, axis=1).repeat(2, axis=2)  # where every border lies between pixels
    exact = finer.reshape(2, 2, height, 2, width, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(area_mean(features, 2, 2), exact, rtol=1e-5, atol=1e-6)
