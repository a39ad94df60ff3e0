import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ctc_jax.layers.mask_parameters import UnitParameters
from ctc_jax.models.level_family import FAMILIES

from ctc_jax.layers import Unpool

SHAPE = (4, 6, 3)
NAMES = ["gaussian", "ctc_pool", "ctc_relu"]


def units():
    keys = jax.random.split(jax.random.key(0), 3)
    logits, loc, scale = (jax.random.normal(key, (2, *SHAPE)) for key in keys)
    return UnitParameters(logits, loc, jnp.exp(scale), hard=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_map_has_each_unit_where_its_parameters_were(name):
    """Of the values' means, which are told apart by their place."""
    family = FAMILIES[name]
    law = family.law(units())
    np.testing.assert_array_equal(family.feature_map(law.values.mean, SHAPE), units().loc)


def test_one_unit_of_each_window_is_on_and_unpooling_puts_it_back():
    family = FAMILIES["ctc_pool"]
    law = family.law(units())
    latent = law.sample(jax.random.key(1))
    features = np.asarray(family.feature_map(latent, SHAPE))
    on = (features != 0).reshape(2, 2, 2, 3, 2, 3).sum(axis=(2, 4))
    np.testing.assert_array_equal(on, 1)
    windows = family.windows(latent, SHAPE)
    pooled = family.going_up(latent, SHAPE)
    np.testing.assert_array_equal(Unpool()(pooled, (windows != 0).astype(jnp.float32)), features)


def test_pooled_values_are_the_largest_of_a_window_where_masks_are_the_largest():
    family, loc = FAMILIES["ctc_pool"], units().loc
    values = family.law(UnitParameters(loc, loc, jnp.ones_like(loc), hard=False)).values.mean
    largest = jax.nn.one_hot(jnp.argmax(values, axis=-1), 4)
    expected = np.asarray(loc).reshape(2, 2, 2, 3, 2, 3).max(axis=(2, 4))
    np.testing.assert_array_equal(family.going_up(largest * values, SHAPE), expected)


@pytest.mark.parametrize("name", ["gaussian", "ctc_relu"])
def test_without_pooling_all_units_of_a_window_go_up(name):
    family = FAMILIES[name]
    latent = family.law(units()).sample(jax.random.key(1))
    going_up = np.asarray(family.going_up(latent, SHAPE))
    assert going_up.shape == (2, 2, 3, 12)
    np.testing.assert_array_equal(np.sort(going_up.ravel()), np.sort(np.asarray(latent).ravel()))


def test_gates_are_open_where_their_logits_are_high():
    large = units()._replace(logits=jnp.where(units().loc > 0, 50.0, -50.0))
    features = FAMILIES["ctc_relu"].feature_map(FAMILIES["ctc_relu"].law(large).sample(jax.random.key(0)), SHAPE)
    np.testing.assert_array_equal(features != 0, units().loc > 0)


def test_none_has_no_latent():
    assert FAMILIES["none"] is None
