import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.errors import ConfigError
from ctc_jax.likelihoods import build


def test_starts_as_fair_coins(section):
    features = jnp.zeros((1, 2, 2, 4))
    distribution, _ = build(section(name="bernoulli"), channels=1, bits=1).init_with_output(jax.random.key(0), features)
    np.testing.assert_allclose(distribution.log_prob(jnp.ones((1, 2, 2, 1), jnp.uint8)), [-4 * np.log(2)], rtol=1e-6)


def test_more_than_one_bit_is_refused_and_the_key_to_change_is_named(section):
    with pytest.raises(ConfigError, match=r"data\.binarization"):
        build(section(name="bernoulli"), channels=1, bits=8)
