import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import likelihoods
from ctc_jax.errors import ConfigError
from ctc_jax.likelihoods import REGISTRY, SECTION
from ctc_jax.likelihoods.ctc import CTC

CASES = [
    ("bernoulli", 1, {}),
    ("gaussian", 3, {}),
    ("gaussian", 2, {"scale": "channel"}),
    ("logistic", 1, {"scale": "fixed"}),
    ("logistic", 3, {}),
    ("categorical", 3, {}),
    ("ctc", 3, {"components": 2, "off": True}),
    ("ctc", 2, {"components": 3, "family": "gaussian", "scale": "channel"}),
]


def images(bits, width, channels):
    values = list(itertools.product(range(2**bits), repeat=width * channels))
    return jnp.asarray(np.array(values, np.uint8).reshape(-1, 1, 1, width, channels))


def initialized(likelihood, features, spread=30.0):
    """Parameters far enough from their start that masses differ between positions."""
    return jax.tree.map(
        lambda a: a * (spread if a.ndim == 2 else 1.0), jax.jit(likelihood.init)(jax.random.key(0), features)
    )


@pytest.mark.parametrize(("name", "bits", "changes"), CASES)
def test_masses_sum_to_one_and_the_mean_is_their_expectation(make, name, bits, changes):
    likelihood = make(name, channels=1, bits=bits, fixed_scale=0.6, **changes)
    features = jax.random.normal(jax.random.key(1), (1, 1, 2, 5))
    parameters = initialized(likelihood, features)
    every = images(bits, 2, 1)

    @jax.jit
    def masses_mean_mode(parameters):
        distribution = jax.jit(likelihood.apply)(parameters, features)
        return jnp.exp(distribution.log_prob(every)), distribution.mean, distribution.mode

    mass, mean, mode = masses_mean_mode(parameters)
    mass = np.float64(mass)
    np.testing.assert_allclose(mass.sum(), 1, atol=1e-5)
    np.testing.assert_allclose(mean, (mass[..., None, None, None] * every).sum(0), rtol=1e-4, atol=1e-5)
    assert mode.dtype == jnp.int32
    if name != "ctc":
        np.testing.assert_array_equal(mode[0], every[mass[:, 0].argmax(), 0])


@pytest.mark.parametrize(("name", "bits", "changes"), CASES)
def test_sampled_levels_have_the_mean_of_the_masses(make, name, bits, changes):
    likelihood = make(name, channels=1, bits=bits, fixed_scale=0.6, **changes)
    features = jax.random.normal(jax.random.key(2), (2, 1, 2, 5))

    @jax.jit
    def draws_and_mean(parameters, key):
        distribution = likelihood.apply(parameters, features)
        return distribution.sample(key, (4000,)), distribution.mean

    draws, mean = draws_and_mean(initialized(likelihood, features), jax.random.key(3))
    draws = np.asarray(draws, np.float64)
    assert draws.shape == (4000, 2, 1, 2, 1)
    assert draws.min() >= 0
    assert draws.max() < 2**bits
    error = draws.std(0) / np.sqrt(4000)
    assert np.all(np.abs(draws.mean(0) - mean) < 5 * error + 1e-2)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_bfloat16_features_give_float32_log_probabilities_near_the_float32_ones(make, name):
    bits, channels = (1 if name == "bernoulli" else 3), 3
    own = {"components": 2} if name == "ctc" else {}
    likelihood = make(name, channels=channels, bits=bits, fixed_scale=1.0, **own)
    features = jax.random.normal(jax.random.key(4), (2, 2, 2, 8)).astype(jnp.bfloat16)
    value = jax.random.randint(jax.random.key(5), (2, 2, 2, channels), 0, 2**bits)
    parameters = jax.jit(likelihood.init)(jax.random.key(0), features)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(parameters))
    log_prob = jax.jit(lambda parameters, features: likelihood.apply(parameters, features).log_prob(value))
    low, high = log_prob(parameters, features), log_prob(parameters, features.astype(jnp.float32))
    assert low.dtype == jnp.float32
    np.testing.assert_allclose(low, high, rtol=0.02)


def test_an_unknown_name_lists_the_choices(make):
    with pytest.raises(ConfigError, match=r"likelihood\.name.*logistic.*did you mean gaussian"):
        make("gausian", channels=1, bits=8)


def test_the_defaults_of_the_section_are_those_of_the_classes():
    config = SECTION.defaults()
    assert config["name"] == "ctc"
    assert likelihoods.build(config, shape=(4, 4, 1), bits=8, features=3) == CTC(1, 8)
    assert likelihoods.build({}, shape=(4, 4, 1), bits=8, features=3) == CTC(1, 8)


def test_an_option_of_another_likelihood_is_unknown_at_the_top():
    with pytest.raises(ConfigError, match=r"likelihood\.components is 3; allowed: scale, fixed_scale"):
        likelihoods.build({"name": "ctc", "components": 3}, shape=(4, 4, 1), bits=8, features=3)
