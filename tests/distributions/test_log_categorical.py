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
    value, pull = jax.vjp(lambda logits: log_categorical(logits, entry.astype(jnp.float32)), logits)
    expected, expected_pull = jax.vjp(lambda logits: CategoricalLogits(logits.T).log_prob(entry), logits)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pull(cotangent)[0], expected_pull(cotangent)[0], rtol=1e-4, atol=1e-6)


def test_masses_sum_to_one_whatever_the_logits_are_shifted_by():
    logits = jax.random.normal(jax.random.key(0), (16, 3)) + jnp.array([[-1e4, 0.0, 1e4]])
    masses = [jnp.exp(log_categorical(logits, jnp.full(3, float(entry)))) for entry in range(16)]
    np.testing.assert_allclose(sum(masses), 1.0, rtol=1e-5)
