import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from ctc_jax.layers import StochasticReLU
from tests.layers.conftest import call, many, with_gradient

FEATURES = jnp.array([[-2.0, -0.3, 0.0, 0.4, 3.0], [1.0, -1.0, 0.0, 2.5, -4.0]])
KEY = jax.random.key(0)


def test_its_mean_at_beta_one_is_silu():
    q = StochasticReLU(beta=1.0).apply({}, FEATURES, method="distribution")
    np.testing.assert_allclose(q.mean, nn.silu(FEATURES), rtol=1e-6)


@pytest.mark.parametrize("beta", [1e6, math.inf])
def test_its_limit_is_relu_in_value_and_gradient(beta):
    def layer(features):
        return StochasticReLU(beta=beta).apply({}, KEY, features).value

    np.testing.assert_array_equal(jax.jit(layer)(FEATURES), nn.relu(FEATURES))
    if math.isinf(beta):
        ours, theirs = (with_gradient(of, jnp.cos(FEATURES), FEATURES) for of in (layer, nn.relu))
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_gates_open_by_their_tied_probability_and_shut_others_out():
    found = many(StochasticReLU(beta=2.0), {}, FEATURES)
    probs = expit(2.0 * np.float64(FEATURES))
    error = np.sqrt(probs * (1 - probs) / 2**14)
    np.testing.assert_array_less(abs(np.float64(found.mask).mean(0) - probs), 4.5 * error + 1e-6)
    np.testing.assert_array_equal(found.value, found.mask * FEATURES[None])
    correlation = np.corrcoef(found.mask[:, 0, 1], found.mask[:, 0, 3])[0, 1]
    assert abs(correlation) < 4.5 / np.sqrt(2**14)


def test_kl_of_a_gaussian_value_is_paid_where_the_gate_is_open():
    layer = StochasticReLU(beta=1.0, gaussian=True)
    bias = {"kernel": jnp.zeros((5, 5)), "bias": jnp.full(5, np.log(0.5))}
    params = {"params": {"parameters": {"log_scale": bias}}}
    p, loc = expit(np.float64(FEATURES)), np.float64(FEATURES)
    of_value = 0.5 * (0.25 + loc**2 - 1 - np.log(0.25))
    expected = np.log(2) + p * np.log(p) + (1 - p) * np.log(1 - p) + p * of_value
    np.testing.assert_allclose(call(layer, params, KEY, FEATURES).kl, expected, rtol=1e-4, atol=1e-5)


def test_it_takes_feature_maps():
    features = jax.random.normal(KEY, (2, 3, 3, 4))
    layer = StochasticReLU(beta=None, gaussian=True)
    found = jax.eval_shape(lambda: layer.init_with_output(KEY, KEY, features)[0])
    assert {of.shape for of in found} == {features.shape}
