import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.distributions import IndependentPixels, PixelCategorical


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


def test_pythons_own_numbers_are_values_of_a_single_level():
    distribution = PixelCategorical(jnp.log(jnp.array([0.5, 0.25, 0.125, 0.125])))
    log_prob = jax.jit(distribution.log_prob)
    np.testing.assert_allclose([log_prob(level) for level in range(4)], np.log([0.5, 0.25, 0.125, 0.125]), rtol=1e-6)
    np.testing.assert_array_equal(log_prob(jnp.array([0.5, -1.0, 4.0])), [-np.inf] * 3)
