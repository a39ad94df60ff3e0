import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import logistic, norm

from ctc_jax.errors import ConfigError


@pytest.mark.parametrize(("name", "family"), [("gaussian", norm), ("logistic", logistic)])
@pytest.mark.parametrize("scale", ["pixel", "channel", "shared", "fixed"])
def test_starts_in_mid_range_with_the_fixed_scale(make, name, family, scale):
    likelihood = make(name, channels=3, bits=8, scale=scale, fixed_scale=20.0)
    value = jnp.full((2, 2, 2, 3), 140, jnp.uint8)

    @jax.jit
    def log_prob(key):
        distribution, _ = likelihood.init_with_output(key, jnp.zeros((2, 2, 2, 4)))
        return distribution.log_prob(value)

    bin_mass = family.cdf(140.5, 127.5, 20) - family.cdf(139.5, 127.5, 20)
    np.testing.assert_allclose(log_prob(jax.random.key(0)), [12 * np.log(bin_mass)] * 2, rtol=1e-5)


@pytest.mark.parametrize("name", ["gaussian", "logistic"])
@pytest.mark.parametrize(("key", "found"), [("scale", "pixels"), ("fixed_scale", 0.0), ("fixed_scale", float("nan"))])
def test_a_bad_scale_names_its_key(make, name, key, found):
    with pytest.raises(ConfigError, match=rf"likelihood\.{key}"):
        make(name, channels=1, bits=8, **{key: found})


@pytest.mark.parametrize(("name", "family"), [("gaussian", norm), ("logistic", logistic)])
def test_an_optimal_scale_is_a_mixture_over_scales_of_the_whole_image(make, name, family):
    likelihood = make(name, channels=3, bits=8, scale="optimal", fixed_scale=64.0)
    image = np.random.default_rng(0).integers(100, 156, (2, 4, 4, 3))
    features = jax.random.normal(jax.random.key(1), (2, 4, 4, 4))

    @jax.jit
    def found(key):
        distribution, variables = likelihood.init_with_output(key, features)
        return distribution.log_prob(jnp.asarray(image)), distribution.loc, distribution.log_scale, variables

    log_prob, loc, log_scale, variables = jax.device_get(found(jax.random.key(0)))
    scales = np.exp(log_scale[0, 0, 0, :, 0].astype(np.float64))
    assert set(variables["params"]) == {"values", "log_scale", "scale_logits"}
    np.testing.assert_allclose(scales[[0, -1]], [64 / 8, 64 * 8], rtol=1e-5)
    np.testing.assert_array_equal(np.ptp(loc, axis=-2), 0.0)  # all about one location
    of_scale = [
        np.log(family.cdf(image + 0.5, loc[..., 0, :], scale) - family.cdf(image - 0.5, loc[..., 0, :], scale))
        for scale in scales
    ]
    of_scale = np.stack(of_scale).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(log_prob, logsumexp(of_scale, axis=0) - np.log(16), rtol=1e-5)
    # What it pays for a scale that looks at the image.
    assert (log_prob > of_scale.max(axis=0) - np.log(16) - 1e-3).all()


@pytest.mark.parametrize(
    ("name", "options", "key"), [("ctc", {}, "likelihood.scale"), ("logistic", {"rank": 2}, "likelihood.logistic.rank")]
)
def test_an_optimal_scale_is_of_independent_unimodal_pixels(make, name, options, key):
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        make(name, scale="optimal", **options)
