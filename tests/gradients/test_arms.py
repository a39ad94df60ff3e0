import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.gradients import ARMS, BERNOULLI, RLOO, DisARM
from ctc_jax.gradients.arms import correlation
from tests.gradients.conftest import build, gradient, gradients


@pytest.mark.parametrize("samples", [2, 3, 6])
def test_masks_have_their_probabilities_and_the_correlation_said(samples):
    """A reward that is one dimension of the mask has as its value the mean of that over the masks."""
    logits = jnp.array([[-3.0, -0.5, 0.0, 1.0, 4.0]])

    def mean_of(key, dimension):
        return ARMS(samples=samples)(key, logits, lambda masks: masks[:, dimension], kind=BERNOULLI).value[0]

    def drawn(key):
        return jnp.stack([mean_of(key, dimension) for dimension in range(5)])

    means = np.asarray(jax.jit(jax.vmap(drawn))(jax.random.split(jax.random.key(0), 2**15)), np.float64)
    probs = 1 / (1 + np.exp(-np.asarray(logits[0], np.float64)))
    rho = np.asarray(correlation(-jax.nn.softplus(jnp.abs(logits[0])), samples), np.float64)
    # Var of a mean of K equally correlated masks.
    variance = probs * (1 - probs) * (1 + (samples - 1) * rho) / samples
    np.testing.assert_array_less(abs(means.mean(axis=0) - probs), 4.5 * np.sqrt(variance / len(means)) + 1e-6)
    squares = (means - probs) ** 2
    error = squares.std(axis=0) / np.sqrt(len(means))
    np.testing.assert_array_less(abs(squares.mean(axis=0) - variance), 4.5 * error + 1e-6)


def test_two_masks_have_the_correlation_of_an_antithetic_pair():
    log_probs = jnp.log(jnp.array([1e-30, 0.1, 0.3, 0.5]))
    np.testing.assert_allclose(correlation(log_probs, 2), [-1e-30, -1 / 9, -3 / 7, -1.0], rtol=1e-5)


def test_many_masks_are_not_less_correlated_than_they_can_be():
    probs = jnp.linspace(0.01, 0.5, 50)
    for samples in (3, 5, 9):
        rho = correlation(jnp.log(probs), samples)
        assert (rho < 0).all()
        assert (rho >= -1 / (samples - 1) - 1e-6).all()


def test_two_samples_vary_as_disarm_and_four_less_than_independent_ones():
    problem = build("bernoulli", (2, 4), "values")

    def spread(estimator, seed=0):
        draws = np.asarray(gradients(problem, estimator, seed=seed)[0][0], np.float64)
        squares = ((draws - draws.mean(axis=0)) ** 2).reshape(len(draws), -1).sum(axis=1)
        return squares.mean(), squares.std() / np.sqrt(len(squares))

    (two, error), (pair, pair_error) = spread(ARMS(), seed=1), spread(DisARM())
    assert abs(two - pair) < 4.5 * np.hypot(error, pair_error)
    assert spread(ARMS(samples=4))[0] < spread(RLOO(samples=4))[0]


def test_gradients_are_finite_at_logits_beyond_rounding():
    logits = jnp.array([[-200.0, -30.0, 30.0, 200.0]])
    moved = gradient(
        lambda at: ARMS(samples=3)(jax.random.key(0), at, lambda masks: masks.sum(-1), kind=BERNOULLI).surrogate.sum()
    )(logits)
    np.testing.assert_allclose(moved, 0.0, atol=1e-6)
