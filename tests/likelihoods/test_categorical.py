import jax
import jax.numpy as jnp
import numpy as np


def test_starts_uniform_over_levels(make):
    likelihood = make("categorical", channels=2, bits=8)
    distribution, _ = jax.jit(likelihood.init_with_output)(jax.random.key(0), jnp.zeros((1, 1, 1, 4)))
    np.testing.assert_allclose(distribution.log_prob(jnp.ones((1, 1, 1, 2), jnp.uint8)), [-2 * np.log(256)], rtol=1e-6)
    np.testing.assert_allclose(distribution.mean, 127.5, rtol=1e-5)
