import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.layers import StochasticMaxPool, Unpool
from tests.layers.conftest import call

KEY = jax.random.key(0)
FEATURES = jax.random.normal(jax.random.key(1), (2, 4, 6, 3))


@pytest.mark.parametrize("off", [False, True])
def test_unpooling_restores_what_was_selected_and_nothing_else(off):
    features = FEATURES - 1.5
    found = call(StochasticMaxPool((2, 3), off=off, beta=1.0), {}, KEY, features)
    restored = np.asarray(Unpool((2, 3))(found.value, found.mask))
    chosen = restored != 0
    np.testing.assert_array_equal(restored[chosen], np.asarray(features)[chosen])
    on = np.asarray(found.mask)[..., :6].sum(-1)
    np.testing.assert_array_equal(chosen.reshape(2, 2, 2, 2, 3, 3).sum(axis=(2, 4)), on)
    assert off == (on == 0).any()


def test_in_the_limit_it_is_the_gradient_of_max_pooling():
    def max_pool(features):
        return nn.max_pool(features, (2, 2), strides=(2, 2))

    cotangent = jax.random.normal(KEY, (2, 2, 3, 3))
    mask = call(StochasticMaxPool((2, 2), beta=math.inf), {}, KEY, FEATURES).mask
    (expected,) = jax.vjp(max_pool, FEATURES)[1](cotangent)
    np.testing.assert_array_equal(Unpool((2, 2))(cotangent, mask), expected)


@pytest.mark.parametrize("off", [False, True])
def test_it_is_the_transpose_of_the_pooling_for_given_masks(off):
    layer = StochasticMaxPool((2, 2), off=off, beta=0.5)
    q = call(layer, {}, FEATURES, method="distribution")
    mask = jax.jit(layer.draw)(KEY, q).mask
    pooled = jax.random.normal(jax.random.key(2), (2, 2, 3, 3))
    left = jnp.sum(Unpool((2, 2))(pooled, mask) * FEATURES)
    np.testing.assert_allclose(left, jnp.sum(pooled * layer.select(mask, q.values.mean)), rtol=1e-4)


def test_masks_of_another_window_are_refused():
    with pytest.raises(ValueError, match=r"^masks over 6 alternatives for a window 2 x 2; allowed: 4, or 5 with"):
        Unpool((2, 2))(jnp.zeros((1, 2, 2, 1)), jnp.zeros((1, 2, 2, 1, 6)))
