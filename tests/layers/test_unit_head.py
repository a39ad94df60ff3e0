import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.layers import depth_to_space
from ctc_jax.layers.unit_head import MaskParameters, UnitHead
from tests.layers.conftest import call, randomized

FEATURES = jax.random.normal(jax.random.key(3), (2, 3, 5, 4))


def dense(layer, features):
    return np.float64(features) @ np.float64(layer["kernel"]) + np.float64(layer["bias"])


def test_tied_logits_are_beta_times_the_location_and_cost_no_parameters():
    units, params = MaskParameters(2.5, gaussian=False).init_with_output(jax.random.key(0), FEATURES)
    np.testing.assert_allclose(units.logits, 2.5 * FEATURES, rtol=1e-6)
    np.testing.assert_array_equal(units.loc, FEATURES)
    assert units.scale is None
    assert not params
    hard, _ = MaskParameters(math.inf, gaussian=False).init_with_output(jax.random.key(0), FEATURES)
    np.testing.assert_array_equal(hard.logits, FEATURES)
    assert hard.hard
    assert not units.hard


def test_free_logits_and_scales_are_dense_in_the_features_not_in_the_location():
    module, loc = MaskParameters(None, gaussian=True), jnp.tanh(FEATURES[..., :3])
    params = jax.tree.map(lambda of: of[..., :3], randomized(module, FEATURES)["params"])
    units = call(module, {"params": params}, FEATURES, loc)
    np.testing.assert_allclose(units.logits, dense(params["logits"], FEATURES), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(units.scale, np.exp(dense(params["log_scale"], FEATURES)), rtol=1e-4)
    np.testing.assert_array_equal(units.loc, loc)


def test_scales_start_near_their_start_and_stay_within_their_limits():
    module = MaskParameters(None, gaussian=True, scale=0.4)
    units, params = module.init_with_output(jax.random.key(0), FEATURES)
    # A tenth of the usual start: standard deviation sqrt(0.01) of the log-scale for features of variance 1.
    np.testing.assert_allclose(np.log(units.scale), np.log(0.4), atol=0.5)
    far = call(module, params, 1e4 * FEATURES).scale
    np.testing.assert_allclose([far.min(), far.max()], np.exp([-8.0, 4.0]), rtol=1e-5)


def test_without_masks_there_are_no_logits():
    units, params = MaskParameters(None, gaussian=True, masked=False).init_with_output(jax.random.key(0), FEATURES)
    assert units.logits is None
    assert set(params["params"]) == {"log_scale"}


def test_low_precision_features_give_float32():
    for module in (MaskParameters(None, gaussian=True), UnitHead(2, True, None, 2, 0.0, 1.0, 0.1)):
        units = jax.eval_shape(
            lambda of=module: of.init_with_output(jax.random.key(0), FEATURES.astype(jnp.bfloat16))[0]
        )
        assert {of.dtype for of in (units.logits, units.loc, units.scale)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("beta", [None, 0.7])
def test_units_of_a_patch_are_the_channels_of_their_position(beta):
    module = UnitHead(channels=2, masked=True, beta=beta, patch=2, loc=0.0, scale=1.0, gain=1.0)
    params = randomized(module, FEATURES)
    units, of = call(module, params, FEATURES), params["params"]
    loc = depth_to_space(jnp.asarray(dense(of["loc"], FEATURES), jnp.float32))
    assert loc.shape == (2, 6, 10, 2)
    np.testing.assert_allclose(units.loc, loc, rtol=1e-4, atol=1e-5)
    free = 0.7 * loc if beta else depth_to_space(jnp.asarray(dense(of["parameters"]["logits"], FEATURES), jnp.float32))
    np.testing.assert_allclose(units.logits, free, rtol=1e-4, atol=1e-5)
    log_scale = depth_to_space(jnp.asarray(dense(of["parameters"]["log_scale"], FEATURES), jnp.float32))
    np.testing.assert_allclose(units.scale, np.exp(log_scale), rtol=1e-4)


def test_units_start_around_their_start_as_far_as_the_gain_says():
    def started(gain):
        module = UnitHead(channels=64, masked=True, beta=None, patch=1, loc=1.5, scale=0.4, gain=gain)
        return jax.jit(lambda key: module.init_with_output(key, FEATURES)[0])(jax.random.key(0))

    small, full = started(0.1), started(1.0)
    for units, gain in ((small, 0.1), (full, 1.0)):
        # Features of variance 1 keep it at full gain: each unit is a draw, up to the four features it shares.
        np.testing.assert_allclose(np.std(units.loc - 1.5), gain, rtol=0.3)
        np.testing.assert_allclose(np.std(units.logits), gain, rtol=0.3)
        np.testing.assert_allclose(np.mean(np.log(units.scale)), np.log(0.4), atol=0.05)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_a_beta_that_ties_nothing_is_refused(beta):
    with pytest.raises(ValueError, match=r"^beta is .*; allowed: above 0, or None for free logits$"):
        MaskParameters(beta, gaussian=True)
