import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ctc_jax.layers.mask_parameters import MaskParameters, UnitParameters
from numpyro.distributions.kl import kl_divergence

from tests.layers.conftest import call, randomized

FEATURES = jax.random.normal(jax.random.key(3), (2, 5, 4))


def dense(layer, features):
    return np.float64(features) @ np.float64(layer["kernel"]) + np.float64(layer["bias"])


def test_tied_logits_are_beta_times_the_location_and_cost_no_parameters():
    units, params = MaskParameters(2.5, gaussian=False).init_with_output(jax.random.key(0), FEATURES)
    np.testing.assert_allclose(units.logits, 2.5 * FEATURES, rtol=1e-6)
    np.testing.assert_array_equal(units.loc, FEATURES)
    assert units.scale is None
    assert not params


def test_free_logits_and_scales_are_dense_in_the_features_not_in_the_location():
    module, loc = MaskParameters(None, gaussian=True), jnp.tanh(FEATURES[..., :3])
    params = randomized(module, FEATURES)["params"]
    params = jax.tree.map(lambda of: of[..., :3], params)
    units = call(module, {"params": params}, FEATURES, loc)
    np.testing.assert_allclose(units.logits, dense(params["logits"], FEATURES), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(units.scale, np.exp(dense(params["log_scale"], FEATURES)), rtol=1e-4)
    np.testing.assert_array_equal(units.loc, loc)


def test_scales_start_near_one_and_stay_within_their_limits():
    module = MaskParameters(None, gaussian=True)
    units, params = module.init_with_output(jax.random.key(0), FEATURES)
    # A tenth of the usual start: standard deviation sqrt(0.01) of the log-scale for features of variance 1.
    np.testing.assert_allclose(np.log(units.scale), 0.0, atol=0.5)
    far = call(module, params, 1e4 * FEATURES).scale
    np.testing.assert_allclose([far.min(), far.max()], np.exp([-8.0, 4.0]), rtol=1e-5)


@pytest.mark.parametrize("off", [False, True])
def test_hard_masks_are_certain_in_probability_and_logarithm(off):
    units, _ = MaskParameters(math.inf, gaussian=False).init_with_output(jax.random.key(0), FEATURES)
    gates, choices = units.gates(), units.choices(off)
    np.testing.assert_array_equal(gates.probs, FEATURES > 0)
    compared = np.concatenate([FEATURES, np.zeros((2, 5, 1))], -1) if off else np.asarray(FEATURES)
    np.testing.assert_array_equal(choices.probs, np.eye(compared.shape[-1])[compared.argmax(-1)])
    for law in (gates, choices):
        np.testing.assert_array_equal(law.log_prob(law.mean), 0.0)
        np.testing.assert_array_equal(kl_divergence(law, law), 0.0)


def test_low_precision_features_give_float32():
    module = MaskParameters(None, gaussian=True)
    units = jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), FEATURES.astype(jnp.bfloat16))[0])
    assert {of.dtype for of in jax.tree.leaves((units.logits, units.loc, units.scale))} == {np.dtype(np.float32)}


def units_of(seed, logits=None):
    random = np.random.default_rng(seed)
    loc, log_scale, free = random.normal(size=(3, 2, 5)).astype(np.float32)
    return UnitParameters(free if logits is None else logits(loc), loc, np.exp(log_scale), hard=False)


def test_the_kl_of_changed_values_is_that_of_the_change_to_a_standard_normal_however_narrow_they_were():
    units, change = units_of(0), units_of(1)
    narrow = units._replace(scale=1e-3 * units.scale)
    expected = 0.5 * (change.loc**2 + change.scale**2 - 1.0) - np.log(change.scale)
    for before in (units, narrow):
        changed = before.changed(change, tied=False)
        np.testing.assert_allclose(kl_divergence(changed.values, before.values), expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(changed.logits, before.logits + change.logits)


def test_tied_logits_are_still_beta_times_the_location_after_a_change():
    units, change = (units_of(seed, lambda loc: 2.5 * loc) for seed in (0, 1))
    changed = units.changed(change, tied=True)
    assert np.abs(changed.loc - units.loc).max() > 0.1
    np.testing.assert_allclose(changed.logits, 2.5 * changed.loc, rtol=1e-5, atol=1e-6)
