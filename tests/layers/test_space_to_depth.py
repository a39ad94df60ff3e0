import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.layers import depth_to_space, space_to_depth


def numbered(*shape):
    return jnp.arange(np.prod(shape), dtype=jnp.int32).reshape(shape)


@pytest.mark.parametrize(("shape", "block"), [((2, 4, 6, 3), 2), ((1, 6, 3, 2), 3), ((3, 2, 2, 1), 1)])
def test_depth_to_space_undoes_space_to_depth(shape, block):
    images = numbered(*shape)
    deep = space_to_depth(images, block)
    assert deep.shape == (shape[0], shape[1] // block, shape[2] // block, shape[3] * block**2)
    np.testing.assert_array_equal(depth_to_space(deep, block), images)


def test_space_to_depth_undoes_depth_to_space():
    features = numbered(2, 3, 1, 8)
    np.testing.assert_array_equal(space_to_depth(depth_to_space(features)), features)


def test_a_patch_becomes_channels_row_by_row_then_channel_by_channel():
    images = np.asarray(numbered(2, 4, 6, 3))
    deep = np.asarray(space_to_depth(jnp.asarray(images)))
    for row, column in np.ndindex(2, 3):
        patch = images[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        np.testing.assert_array_equal(deep[:, row, column], patch.reshape(2, -1))
