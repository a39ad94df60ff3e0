import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from scipy import stats

from ctc_jax import posteriors
from ctc_jax.errors import ConfigError


@pytest.fixture
def posterior():
    return posteriors.build(ml_collections.ConfigDict({"name": "diagonal"}), latents=2)


def with_moments(loc, log_scale):
    """Parameters under which every image has these moments."""
    bias = jnp.concatenate([jnp.asarray(loc, jnp.float32), jnp.asarray(log_scale, jnp.float32)])
    return {"params": {"Dense_0": {"kernel": jnp.zeros((3, 4)), "bias": bias}}}


def test_moments_and_log_density_are_those_of_the_gaussian(posterior):
    q = posterior.apply(with_moments([0.5, -1.0], [-1.0, 0.25]), jnp.ones((4, 3)))
    z = np.array([[0.1, 0.2], [0.5, -1.0], [2.0, 0.0], [-1.0, -3.0]], np.float32)
    scale = np.exp([-1.0, 0.25])
    assert (q.batch_shape, q.event_shape) == ((4,), (2,))
    np.testing.assert_allclose(q.mean, np.tile([0.5, -1.0], (4, 1)), rtol=1e-6)
    np.testing.assert_allclose(q.variance, np.tile(scale**2, (4, 1)), rtol=1e-5)
    np.testing.assert_allclose(q.log_prob(z), stats.norm.logpdf(z, [0.5, -1.0], scale).sum(axis=-1), rtol=1e-5)


def test_moments_are_linear_in_the_features(posterior):
    params = posterior.init(jax.random.key(0), jnp.ones((1, 3)))
    features = jax.random.normal(jax.random.key(1), (5, 3))
    dense = params["params"]["Dense_0"]
    loc, log_scale = np.split(np.asarray(features @ dense["kernel"]), 2, axis=-1)
    q = posterior.apply(params, features)
    np.testing.assert_allclose(q.mean, loc, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(q.variance, np.exp(2 * log_scale), rtol=1e-5)


def test_log_scale_is_clipped_to_minus_8_and_4(posterior):
    q = posterior.apply(with_moments([0.0, 0.0], [-100.0, 100.0]), jnp.ones((1, 3)))
    np.testing.assert_allclose(np.sqrt(q.variance), np.exp([[-8.0, 4.0]]), rtol=1e-5)


def test_moments_are_float32_whatever_the_features(posterior):
    features = jnp.ones((1, 3), jnp.bfloat16)
    q = posterior.apply(posterior.init(jax.random.key(0), features), features)
    assert q.mean.dtype == q.variance.dtype == jnp.float32


def test_unknown_name_is_one_line_that_names_the_key():
    with pytest.raises(ConfigError, match=r"^config\.posterior\.name is 'diagnal'.* \(did you mean diagonal\?\)$"):
        posteriors.build(ml_collections.ConfigDict({"name": "diagnal"}), latents=2)


def test_locations_start_at_full_gain_and_widths_near_the_prior():
    features = jax.random.normal(jax.random.key(2), (2000, 64))
    posterior = posteriors.build(ml_collections.ConfigDict({"name": "diagonal"}), latents=32)
    q = posterior.apply(posterior.init(jax.random.key(0), features), features)
    # Unit features through a kernel of variance 1/64: locations of variance 1, to the spread of 2048 kernel entries.
    np.testing.assert_allclose(np.var(q.mean), 1.0, rtol=4 * np.sqrt(2 / 2048))
    np.testing.assert_allclose(np.var(0.5 * np.log(q.variance)), 0.01, rtol=4 * np.sqrt(2 / 2048))
