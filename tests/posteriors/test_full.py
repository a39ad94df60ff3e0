import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from ctc_jax.posteriors.diagonal import DiagonalGaussian
from ctc_jax.posteriors.full import FullGaussian
from tests.posteriors.linear_gaussian import LinearGaussian, maximized

LATENTS, ROWS = 4, 3


@pytest.fixture(scope="module")
def hidden():
    return jax.random.normal(jax.random.key(0), (ROWS, 5))


@pytest.fixture(scope="module")
def params(hidden):
    started = FullGaussian(LATENTS).init(jax.random.key(1), hidden, method="center")
    return jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(leaf.size), leaf.shape), started)


def test_density_and_divergence_are_numpyro_s(hidden, params):
    posterior = FullGaussian(LATENTS).apply(params, hidden, method="distribution")
    assert np.abs(posterior.scale_tril[:, 3, :3]).min() > 1e-3
    scale = jnp.exp(0.3 * jax.random.normal(jax.random.key(2), (ROWS, LATENTS)))
    prior = dist.Normal(jax.random.normal(jax.random.key(3), (ROWS, LATENTS)), scale)
    draw = FullGaussian(LATENTS).apply(params, jax.random.key(4), hidden, prior.to_event(1))
    np.testing.assert_allclose(draw.log_q, posterior.log_prob(draw.latent), rtol=1e-4, atol=1e-4)
    as_full = dist.MultivariateNormal(prior.loc, scale_tril=scale[:, :, None] * jnp.eye(LATENTS)[None])
    np.testing.assert_allclose(draw.kl, dist.kl_divergence(posterior, as_full), rtol=1e-4)
    of_mixture = FullGaussian(LATENTS).apply(params, jax.random.key(4), hidden, dist.Laplace(prior.loc, scale))
    assert of_mixture.kl is None


def test_draws_have_its_mean_and_covariance(hidden, params):
    posterior = FullGaussian(LATENTS).apply(params, hidden, method="distribution")
    rows = jnp.tile(hidden[:1], (40_000, 1))
    prior = dist.Normal(jnp.zeros((40_000, LATENTS))).to_event(1)
    latent = np.float64(FullGaussian(LATENTS).apply(params, jax.random.key(5), rows, prior).latent)
    covariance = np.float64(posterior.covariance_matrix[0])
    error = np.sqrt(np.diag(covariance) / len(latent))
    assert np.abs((latent.mean(axis=0) - posterior.loc[0]) / error).max() < 4
    # Of an entry: the square root of (C_ij^2 + C_ii C_jj) / n.
    entry = np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / len(latent))
    assert np.abs((np.cov(latent.T) - covariance) / entry).max() < 4


def test_it_starts_as_the_diagonal_gaussian_and_reaches_a_correlated_posterior():
    hidden = jax.random.normal(jax.random.key(0), (50, 20))
    started = FullGaussian(6).init(jax.random.key(1), hidden, method="center")
    tril = FullGaussian(6).apply(started, hidden, method="distribution").scale_tril
    widths = DiagonalGaussian(6).apply({"params": started["params"]["start"]}, hidden, method="distribution")
    np.testing.assert_allclose(jnp.diagonal(tril, axis1=1, axis2=2), widths.base_dist.scale, rtol=1e-6)
    assert np.abs(jnp.tril(tril, -1)).max() < 0.6
    problem = LinearGaussian.random(np.array([[1.0, 0.9], [0.2, 0.3], [0.8, 1.0]]), 0.5, 4)
    elbo = maximized(FullGaussian(2), jnp.eye(4), problem.log_joint, problem.prior, steps=300)
    gap = problem.log_evidence - elbo
    of_diagonal = 0.5 * (np.log(np.diag(problem.precision)).sum() - np.linalg.slogdet(problem.precision)[1])
    assert of_diagonal > 0.5
    assert -0.02 < gap.mean() < 0.1 * of_diagonal


def test_of_one_latent_it_is_the_diagonal_gaussian(hidden):
    prior = dist.Normal(jnp.zeros((ROWS, 1))).to_event(1)
    params = FullGaussian(1).init(jax.random.key(1), hidden, method="center")
    draw = FullGaussian(1).apply(params, jax.random.key(2), hidden, prior)
    diagonal = DiagonalGaussian(1).apply({"params": params["params"]["start"]}, jax.random.key(2), hidden, prior)
    np.testing.assert_allclose(draw.log_q, diagonal.log_q, rtol=1e-5)
    np.testing.assert_allclose(draw.kl, diagonal.kl, rtol=1e-5)
