import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from ctc_jax.layers import StochasticMaxPool
from tests.layers.conftest import assert_close_to_mean, call, many, randomized, with_gradient

KEY = jax.random.key(0)
FEATURES = jax.random.normal(jax.random.key(1), (2, 4, 6, 3))
# Few distinct numbers: most windows have ties, and no reward is flat.
TIED = jax.random.randint(jax.random.key(2), (2, 4, 6, 3), -1, 3).astype(jnp.float32)


def max_pool(features, window):
    return nn.max_pool(features, window, strides=window)


@pytest.mark.parametrize(("window", "features"), [((2, 2), FEATURES), ((2, 3), TIED), ((4, 1), TIED)])
def test_the_deterministic_twin_is_max_pooling_in_value_and_gradient(window, features):
    def pooled(features):
        return StochasticMaxPool(window, beta=math.inf).apply({}, KEY, features).value

    cotangent = jax.random.normal(KEY, (2, 4 // window[0], 6 // window[1], 3))
    ours, theirs = (
        with_gradient(of, cotangent, features) for of in (pooled, lambda features: max_pool(features, window))
    )
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize("features", [FEATURES, TIED], ids=["distinct", "tied"])
def test_a_large_beta_is_max_pooling(features):
    found = call(StochasticMaxPool((2, 2), beta=1e6), {}, KEY, features)
    np.testing.assert_array_equal(found.value, max_pool(features, (2, 2)))


@pytest.mark.parametrize("beta", [1e6, math.inf])
def test_with_an_off_state_the_limit_is_relu_of_max_pooling(beta):
    features = FEATURES - 1.0
    found = call(StochasticMaxPool((2, 2), off=True, beta=beta), {}, KEY, features)
    np.testing.assert_array_equal(found.value, nn.relu(max_pool(features, (2, 2))))
    assert (found.value == 0).any()


@pytest.mark.parametrize("off", [False, True])
def test_a_window_has_the_moments_of_its_enumerated_masks(off):
    layer = StochasticMaxPool((2, 2), off=off, beta=0.8)
    found = many(layer, {}, FEATURES[:1, :2, :2, :1])
    values = np.float64(FEATURES[0, :2, :2, 0]).ravel()
    if off:
        values = np.append(values, 0.0)
    probs = softmax(0.8 * values)
    pooled = np.float64(found.value).ravel()
    assert_close_to_mean(pooled, probs @ values)
    assert_close_to_mean(pooled**2, probs @ values**2)
    masks = np.float64(found.mask).reshape(-1, len(values))
    np.testing.assert_array_equal(masks.sum(-1), 1.0)
    assert_close_to_mean(masks, probs)
    np.testing.assert_allclose(found.mask_log_prob.ravel(), np.log(probs)[masks.argmax(-1)], rtol=1e-4)
    np.testing.assert_allclose(found.kl[0].ravel(), [probs @ np.log(probs * len(probs))], rtol=1e-4)


def test_permuting_windows_permutes_the_distribution():
    layer = StochasticMaxPool((2, 3), beta=None, gaussian=True)
    params = randomized(layer, FEATURES, method="distribution")
    # Rows of windows exchanged, and columns.
    permuted = jnp.roll(FEATURES, (2, 3), axis=(1, 2))
    q, permuted_q = (call(layer, params, features, method="distribution") for features in (FEATURES, permuted))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(jnp.roll(a, (1, 1), axis=(1, 2)), b, rtol=1e-5, atol=1e-6),
        (q.logits, q.values.loc, q.values.scale),
        (permuted_q.logits, permuted_q.values.loc, permuted_q.values.scale),
    )


def test_an_off_state_alone_makes_a_window_of_one_a_choice():
    found = many(StochasticMaxPool((1, 1), off=True, beta=1.0), {}, FEATURES[:1])
    assert_close_to_mean(found.value, nn.silu(FEATURES[:1]))


def test_gradients_through_values_are_those_of_the_selected_positions():
    def value(features):
        found = StochasticMaxPool((2, 2), beta=1.0).apply({}, KEY, features)
        return found.value.sum(), found.value

    gradient, pooled = jax.jit(jax.grad(value, has_aux=True))(FEATURES)
    assert set(np.unique(gradient)) == {0.0, 1.0}
    picked = np.float64(gradient * FEATURES).reshape(2, 2, 2, 3, 2, 3).sum(axis=(2, 4))
    np.testing.assert_allclose(picked, pooled, rtol=1e-6)


@pytest.mark.parametrize(("window", "off"), [((1, 1), False), ((0, 2), False), ((0, 1), True)])
def test_a_window_without_a_choice_is_refused(window, off):
    with pytest.raises(
        ValueError, match=r"^window . x . leaves no choice \(K = .\); allowed: 2 positions, or 1 and off$"
    ):
        StochasticMaxPool(window, off=off)


def test_a_window_that_does_not_divide_the_map_is_refused_when_called():
    with pytest.raises(ValueError, match=r"^window 3 x 2 does not divide the feature map, 4 x 6;"):
        StochasticMaxPool((3, 2)).init(KEY, KEY, FEATURES)
