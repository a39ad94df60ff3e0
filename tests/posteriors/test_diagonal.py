import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from ctc_jax.posteriors.diagonal import DiagonalGaussian
from tests.posteriors.linear_gaussian import prior


@pytest.fixture
def posterior():
    return DiagonalGaussian(latents=2)


def with_moments(loc, log_scale):
    """Parameters under which every image has these moments."""
    bias = jnp.concatenate([jnp.asarray(loc, jnp.float32), jnp.asarray(log_scale, jnp.float32)])
    return {"params": {"Dense_0": {"kernel": jnp.zeros((3, 4)), "bias": bias}}}


def distribution(posterior, params, features):
    return posterior.apply(params, features, method="distribution")


def test_a_draw_is_numpyro_s_sample_with_the_density_and_divergence_of_the_gaussian(posterior):
    params, scale = with_moments([0.5, -1.0], [-1.0, 0.25]), np.exp([-1.0, 0.25])
    key = jax.random.key(0)
    draw = posterior.apply(params, key, jnp.ones((4, 3)), prior(4, 2))
    standard = np.asarray(prior(4, 2).sample(key))
    np.testing.assert_allclose(draw.latent, np.array([0.5, -1.0]) + scale * standard, rtol=1e-5)
    expected = stats.norm.logpdf(draw.latent, [0.5, -1.0], scale).sum(axis=-1)
    np.testing.assert_allclose(draw.log_q, expected, rtol=1e-5)
    divergence = (0.5 * (scale**2 + np.array([0.25, 1.0]) - 1.0) - np.log(scale)).sum()
    np.testing.assert_allclose(draw.kl, np.full(4, divergence), rtol=1e-5)


def test_there_is_no_closed_divergence_from_another_prior(posterior):
    laplace = dist.Laplace(jnp.zeros((1, 2)), jnp.ones((1, 2))).to_event(1)
    assert posterior.apply(with_moments([0, 0], [0, 0]), jax.random.key(0), jnp.ones((1, 3)), laplace).kl is None


def test_moments_are_linear_in_the_features_and_the_center_is_the_mean(posterior):
    features = jax.random.normal(jax.random.key(1), (5, 3))
    params = posterior.init(jax.random.key(0), features, method="center")
    dense = params["params"]["Dense_0"]
    loc, log_scale = np.split(np.asarray(features @ dense["kernel"]), 2, axis=-1)
    q = distribution(posterior, params, features)
    np.testing.assert_allclose(q.mean, loc, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(q.variance, np.exp(2 * log_scale), rtol=1e-5)
    np.testing.assert_array_equal(posterior.apply(params, features, method="center"), q.mean)


def test_log_scale_is_clipped_to_minus_8_and_4(posterior):
    q = distribution(posterior, with_moments([0.0, 0.0], [-100.0, 100.0]), jnp.ones((1, 3)))
    np.testing.assert_allclose(np.sqrt(q.variance), np.exp([[-8.0, 4.0]]), rtol=1e-5)


def test_locations_start_at_full_gain_and_widths_near_the_prior():
    features = jax.random.normal(jax.random.key(2), (2000, 64))
    posterior = DiagonalGaussian(latents=32)
    q = distribution(posterior, posterior.init(jax.random.key(0), features, method="center"), features)
    # Unit features through a kernel of variance 1/64: locations of variance 1, to the spread of 2048 kernel entries.
    np.testing.assert_allclose(np.var(q.mean), 1.0, rtol=4 * np.sqrt(2 / 2048))
    np.testing.assert_allclose(np.var(0.5 * np.log(q.variance)), 0.01, rtol=4 * np.sqrt(2 / 2048))
