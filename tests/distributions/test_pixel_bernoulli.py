import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions import PixelBernoulli


@pytest.mark.parametrize("level", [0, 1])
def test_the_derivative_of_a_binary_pixel_is_the_level_less_its_probability(level):
    logits = jnp.array([0.0, -0.0, 1e-6, -3.0, 40.0, -40.0])
    found = jax.grad(lambda logits: PixelBernoulli(logits).log_prob(level).sum())(logits)
    np.testing.assert_allclose(found, level - 1 / (1 + np.exp(-np.float64(logits))), rtol=1e-5, atol=1e-7)
