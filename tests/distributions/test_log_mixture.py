import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax, logsumexp

from ctc_jax.distributions.log_mixture import log_mixture


def cases():
    random = np.random.default_rng(0)
    logits, log_probs = random.normal(0, 3, (5, 200)), random.normal(0, 300, (5, 200))
    log_probs[4, ::2] = -np.inf
    return logits, log_probs


def test_matches_logsumexp_in_float64():
    logits, log_probs = cases()
    expected = logsumexp(log_softmax(logits, axis=0) + log_probs, axis=0)
    found = log_mixture(jnp.float32(logits), jnp.float32(log_probs))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)


def test_gradients_are_the_posterior_and_its_difference_from_the_prior():
    logits, log_probs = cases()
    weight = np.random.default_rng(1).normal(size=200)
    by_logits, by_log_probs = jax.grad(lambda *a: (weight * log_mixture(*a)).sum(), argnums=(0, 1))(
        jnp.float32(logits), jnp.float32(log_probs)
    )
    joint = log_softmax(logits, axis=0) + log_probs
    posterior = np.exp(joint - logsumexp(joint, axis=0))
    prior = np.exp(log_softmax(logits, axis=0))
    # float32 log-probabilities near 1000 nats are rounded by 6e-5.
    np.testing.assert_allclose(by_log_probs, weight * posterior, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(by_logits, weight * (posterior - prior), rtol=1e-3, atol=1e-4)


def test_one_component_has_no_gradient_through_its_logit():
    gradient = jax.grad(lambda logits: log_mixture(logits, jnp.full((1, 3), -7.0)).sum())(jnp.ones((1, 3)))
    np.testing.assert_array_equal(gradient, 0)
