import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions import CategoricalLogits

from ctc_jax.distributions.log_categorical import log_categorical


@pytest.mark.parametrize("entries", [2, 24])
def test_is_numpyros_log_prob_with_its_gradient(entries):
    logits = 5 * jax.random.normal(jax.random.key(0), (entries, 40))
    entry = jax.random.randint(jax.random.key(1), (40,), 0, entries)
    cotangent = jax.random.normal(jax.random.key(2), (40,))

    @jax.jit
    def both(logits):
        value, pull = jax.vjp(lambda logits: log_categorical(logits, entry.astype(jnp.float32)), logits)
        expected, expected_pull = jax.vjp(lambda logits: CategoricalLogits(logits.T).log_prob(entry), logits)
        return (value, *pull(cotangent)), (expected, *expected_pull(cotangent))

    (value, gradient), (expected, expected_gradient) = both(logits)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-6)


def test_masses_sum_to_one_whatever_the_logits_are_shifted_by():
    logits = jax.random.normal(jax.random.key(0), (16, 3)) + jnp.array([[-1e4, 0.0, 1e4]])
    entries = jnp.broadcast_to(jnp.arange(16.0)[:, None], (16, 3))
    masses = jnp.exp(jax.jit(jax.vmap(log_categorical, in_axes=(None, 0)))(logits, entries))
    np.testing.assert_allclose(masses.sum(0), 1.0, rtol=1e-5)
