import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.errors import ConfigError
from ctc_jax.likelihoods.bernoulli import Bernoulli


def test_starts_as_fair_coins(make):
    features = jnp.zeros((1, 2, 2, 4))
    likelihood = make("bernoulli", channels=1, bits=1)
    distribution, _ = jax.jit(likelihood.init_with_output)(jax.random.key(0), features)
    np.testing.assert_allclose(distribution.log_prob(jnp.ones((1, 2, 2, 1), jnp.uint8)), [-4 * np.log(2)], rtol=1e-6)


def test_more_than_one_bit_is_refused_and_the_key_to_change_is_named(make):
    with pytest.raises(ConfigError, match=r"^config\.data\.bits is 8; allowed: 1 with .*data\.binarization"):
        make("bernoulli", channels=1, bits=8)


def test_features_are_the_logits_without_an_output_layer(make):
    features = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    distribution = make("bernoulli", channels=3, bits=1, features=3, output_layer=False).apply({}, features)
    np.testing.assert_array_equal(distribution.base_dist.logits, features)


def test_features_that_are_no_logits_are_refused_by_their_key_and_by_the_module_itself(make):
    with pytest.raises(ConfigError, match=r"^config\.model\.features is 4; allowed: 1, one for each channel"):
        make("bernoulli", bits=1, features=4, output_layer=False)
    with pytest.raises(ValueError, match=r"^features is 4"):
        Bernoulli(1, output_layer=False).init(jax.random.key(0), jnp.zeros((1, 2, 2, 4)))
