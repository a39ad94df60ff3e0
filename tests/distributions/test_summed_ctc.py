import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from ctc_jax.distributions import CategoricalTimesContinuous

DRAWS = 2**16
LOGITS = jnp.array([[0.3, -1.0, 0.8], [2.0, 0.0, -0.5]])
VALUES = dist.Normal(jnp.array([[0.5, -2.0, 3.0], [1.0, 0.2, -0.7]]), jnp.array([[1.0, 0.3, 2.0], [0.5, 1.5, 0.8]]))


def summed(off):
    logits = jnp.concatenate([LOGITS, jnp.array([[0.4], [-1.0]])], axis=-1) if off else LOGITS
    return CategoricalTimesContinuous(logits, VALUES, off=off).sum


def assert_close_to_mean(draws, expected):
    draws = np.asarray(draws, np.float64)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - expected), 4.5 * error + 1e-6)


def test_it_is_numpyros_mixture():
    ours, theirs = summed(off=False), dist.MixtureSameFamily(dist.Categorical(logits=LOGITS), VALUES)
    for x in (jnp.array([0.0, 0.7]), jnp.array([-2.5, 9.0])):
        np.testing.assert_allclose(ours.log_prob(x), theirs.log_prob(x), rtol=1e-5)
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-5)
    np.testing.assert_allclose(ours.variance, theirs.variance, rtol=1e-5)


def test_off_is_a_mass_at_zero_beside_a_density():
    distribution = summed(off=True)
    probs = np.asarray(distribution.product.probs, np.float64)
    np.testing.assert_allclose(distribution.log_prob(jnp.zeros(2)), np.log(probs[:, -1]), rtol=1e-5)
    grid = np.linspace(-30, 30, 60_001)
    grid = grid[grid != 0]
    density = np.exp(np.float64(jax.jit(distribution.log_prob)(jnp.asarray(np.stack([grid] * 2, -1), jnp.float32))))
    np.testing.assert_allclose(np.trapezoid(density, grid, axis=0) + probs[:, -1], 1.0, rtol=2e-4)


@pytest.mark.parametrize("off", [False, True])
def test_samples_have_the_moments_and_at_most_the_entropy_said(off):
    distribution = summed(off)
    draws = jax.jit(lambda key: distribution.sample(key, (DRAWS,)))(jax.random.key(0))
    assert_close_to_mean(draws, distribution.mean)
    assert_close_to_mean((np.asarray(draws) - np.asarray(distribution.mean)) ** 2, distribution.variance)
    surprise = -np.asarray(distribution.log_prob(draws), np.float64)
    error = surprise.std(axis=0) / np.sqrt(DRAWS)
    assert (surprise.mean(axis=0) - 4.5 * error < np.asarray(distribution.entropy())).all()


def test_the_entropy_is_exact_where_components_do_not_overlap():
    apart = dist.Normal(jnp.array([[-100.0, 0.0, 100.0]] * 2), jnp.ones((2, 3)))
    distribution = CategoricalTimesContinuous(LOGITS, apart).sum
    draws = jax.jit(lambda key: distribution.sample(key, (DRAWS,)))(jax.random.key(0))
    assert_close_to_mean(-distribution.log_prob(draws), distribution.entropy())
