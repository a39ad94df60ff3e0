import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.gradients import BERNOULLI, vimco

LOGITS = jnp.array([[0.4, -1.0], [1.5, 0.2]])
WEIGHTS = jnp.array([[1.0, -2.0], [0.5, 1.5]])
MASKS = BERNOULLI.every(LOGITS)


def log_weights(logits, weights, masks):
    """log p(x, m) - log q(m), with parameters in both."""
    hidden = jnp.tanh(masks @ weights)
    return 2.0 * jnp.sum(hidden, axis=-1) + hidden[:, 0] * hidden[:, 1] - BERNOULLI.total_log_prob(logits, masks)


def expected(function, samples):
    """The mean of a function of (log_weights, log_masks) over all tuples of masks, with held probabilities."""

    def total(logits, weights):
        log_q = jax.vmap(lambda mask: BERNOULLI.total_log_prob(logits, mask))(MASKS)
        log_w = jax.vmap(lambda mask: log_weights(logits, weights, mask))(MASKS)
        tuples = jnp.asarray(list(itertools.product(range(len(MASKS)), repeat=samples)))
        of_tuples = jax.vmap(lambda chosen: function(log_w[chosen], log_q[chosen]))(tuples)
        probs = jnp.exp(jnp.sum(log_q[tuples], axis=1))
        return probs, of_tuples

    return total


@pytest.mark.parametrize("samples", [2, 3])
def test_its_mean_over_all_tuples_is_the_gradient_of_the_bound(samples):
    def bound(logits, weights):
        probs, values = expected(lambda w, q: jax.nn.logsumexp(w, axis=0) - jnp.log(samples), samples)(logits, weights)
        return (probs * values).sum()

    def estimate(logits, weights):
        probs, values = expected(lambda w, q: vimco(w, q).surrogate, samples)(logits, weights)
        return (jax.lax.stop_gradient(probs) * values).sum()

    found, exact = (jax.jit(jax.value_and_grad(of, argnums=(0, 1)))(LOGITS, WEIGHTS) for of in (estimate, bound))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, exact)


def test_a_signal_is_the_bound_less_that_with_the_geometric_mean_of_the_others():
    log_w = jax.random.normal(jax.random.key(0), (3, 2))
    found = jax.grad(lambda q: vimco(log_w, q).surrogate.sum())(jnp.zeros((3, 2)))
    w = np.exp(np.asarray(log_w, np.float64))
    for k in range(3):
        others = np.delete(w, k, axis=0)
        without = np.log((others.sum(axis=0) + np.exp(np.log(others).mean(axis=0))) / 3)
        np.testing.assert_allclose(found[k], np.log(w.mean(axis=0)) - without, rtol=1e-4, atol=1e-6)


def test_weights_of_hundreds_of_nats_stay_finite():
    log_w = jnp.array([[-900.0], [-100.0], [-2000.0]])
    found = jax.grad(lambda w, q: vimco(w, q).surrogate.sum(), argnums=(0, 1))(log_w, jnp.zeros((3, 1)))
    np.testing.assert_allclose(found[0], [[0.0], [1.0], [0.0]], atol=1e-6)
    # Without the second, the largest weights are the first and the geometric mean of the others, -1450: -900.
    np.testing.assert_allclose(found[1], [[0.0], [800.0], [0.0]], atol=1e-3)


def test_one_sample_is_refused():
    with pytest.raises(ValueError, match=r"^vimco: 1 samples; allowed: 2 or more$"):
        vimco(jnp.zeros((1, 2)), jnp.zeros((1, 2)))
