import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions import IndependentPixels, PixelBernoulli, PixelCategorical


def test_an_images_log_prob_is_the_sum_over_its_pixels():
    logits = jax.random.normal(jax.random.key(0), (2, 2, 3, 1))
    value = jax.random.bernoulli(jax.random.key(1), 0.5, (4, 2, 2, 3, 1)).astype(jnp.uint8)
    distribution = IndependentPixels(PixelBernoulli(logits))
    assert (distribution.batch_shape, distribution.event_shape) == ((2,), (2, 3, 1))
    probability = 1 / (1 + np.exp(-np.float64(logits)))
    expected = np.log(np.where(np.asarray(value) == 1, probability, 1 - probability)).sum((-3, -2, -1))
    np.testing.assert_allclose(distribution.log_prob(value), expected, rtol=1e-5)
    np.testing.assert_array_equal(distribution.mode, probability > 0.5)


def test_a_categorical_over_levels_has_their_mean_and_mode():
    logits = jax.random.normal(jax.random.key(0), (1, 2, 2, 1, 8))
    distribution = IndependentPixels(PixelCategorical(logits))
    mass = np.exp(np.float64(logits))
    mass /= mass.sum(-1, keepdims=True)
    np.testing.assert_allclose(distribution.mean, mass @ np.arange(8), rtol=1e-5)
    np.testing.assert_array_equal(distribution.mode, mass.argmax(-1))
    value = np.arange(4).reshape(1, 2, 2, 1)
    expected = np.log(np.take_along_axis(mass, value[..., None], -1)).sum()
    np.testing.assert_allclose(distribution.log_prob(jnp.asarray(value)), [expected], rtol=1e-5)


@pytest.mark.parametrize("level", [0, 1])
def test_the_derivative_of_a_binary_pixel_is_the_level_less_its_probability(level):
    logits = jnp.array([0.0, -0.0, 1e-6, -3.0, 40.0, -40.0])
    found = jax.grad(lambda logits: PixelBernoulli(logits).log_prob(level).sum())(logits)
    np.testing.assert_allclose(found, level - 1 / (1 + np.exp(-np.float64(logits))), rtol=1e-5, atol=1e-7)


def test_no_enumeration_of_images_is_claimed():
    assert not IndependentPixels(PixelBernoulli(jnp.zeros((1, 2, 2, 1)))).has_enumerate_support
