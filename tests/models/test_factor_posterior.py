import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import multivariate_normal

from ctc_jax.models.factor_posterior import FactorPosterior

PRECISION = np.array([[4.0, 1.0], [1.0, 0.7]])
MEAN = np.array([0.3, -1.2])


def test_draws_density_and_kl_are_those_of_the_gaussian():
    posterior = FactorPosterior(jnp.asarray(np.linalg.cholesky(PRECISION), jnp.float32)[None])
    mean = jnp.asarray(MEAN, jnp.float32)[None]
    keys = jax.random.split(jax.random.key(0), 20_000)
    drawn = jax.jit(jax.vmap(lambda key: posterior(key, mean, None)))(keys)
    exact, covariance = multivariate_normal(MEAN, np.linalg.inv(PRECISION)), np.linalg.inv(PRECISION)
    latent = np.asarray(drawn.latent[:, 0], np.float64)
    np.testing.assert_allclose(drawn.log_q[:, 0], exact.logpdf(latent), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(posterior.log_prob(mean, drawn.latent[7]), drawn.log_q[7], rtol=1e-5)
    np.testing.assert_allclose(latent.mean(axis=0), MEAN, atol=4.5 * np.sqrt(covariance.max() / len(latent)))
    np.testing.assert_allclose(np.cov(latent.T), covariance, atol=0.1)
    kl = 0.5 * (np.trace(covariance) + MEAN @ MEAN - 2 - np.log(np.linalg.det(covariance)))
    np.testing.assert_allclose(drawn.kl[0, 0], kl, rtol=1e-5)
    np.testing.assert_array_equal(posterior.center(mean), mean)
