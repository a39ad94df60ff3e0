import jax
import jax.numpy as jnp
import numpy as np
import pytest
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
