import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.distributions import IndependentPixels, PixelBernoulli


def test_an_images_log_prob_is_the_sum_over_its_pixels():
    logits = jax.random.normal(jax.random.key(0), (2, 2, 3, 1))
    value = jax.random.bernoulli(jax.random.key(1), 0.5, (4, 2, 2, 3, 1)).astype(jnp.uint8)
    distribution = IndependentPixels(PixelBernoulli(logits))
    assert (distribution.batch_shape, distribution.event_shape) == ((2,), (2, 3, 1))
    probability = 1 / (1 + np.exp(-np.float64(logits)))
    expected = np.log(np.where(np.asarray(value) == 1, probability, 1 - probability)).sum((-3, -2, -1))
    np.testing.assert_allclose(distribution.log_prob(value), expected, rtol=1e-5)
    np.testing.assert_array_equal(distribution.mode, probability > 0.5)


def test_no_enumeration_of_images_is_claimed():
    assert not IndependentPixels(PixelBernoulli(jnp.zeros((1, 2, 2, 1)))).has_enumerate_support
