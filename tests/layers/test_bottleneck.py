import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.layers import Bottleneck, BottleneckBlock


@pytest.mark.parametrize(("side", "reach"), [(3, 3), (2, 1)])
def test_a_position_sees_two_neighbors_on_each_side_and_on_a_small_map_itself_alone(side, reach):
    features = jnp.asarray(np.random.default_rng(0).standard_normal((1, side, 5, 4), np.float32))
    module = Bottleneck(2, jnp.tanh)
    params = module.init(jax.random.key(0), features)
    assert params["params"]["first"]["kernel"].shape[:-2] == ((3, 3) if reach == 3 else ())
    apply = jax.jit(module.apply)
    change = np.abs(apply(params, features.at[0, 1, 0].add(1.0)) - apply(params, features)).max(axis=(0, 3))
    seen = np.zeros((side, 5), bool)
    seen[(slice(None), slice(3)) if reach == 3 else (1, 0)] = True
    np.testing.assert_array_equal(change > 0, seen)


def test_a_block_adds_to_its_input_and_starts_as_small_as_it_is_told():
    features = jnp.asarray(np.random.default_rng(0).standard_normal((2, 4, 4, 256), np.float32))

    def added(scale):
        block = BottleneckBlock(64, jax.nn.silu, scale)
        return block.init_with_output(jax.random.key(0), features)[0] - features

    assert np.abs(added(1e-6)).max() < 1e-4
    np.testing.assert_allclose(np.std(added(0.25)) / np.std(added(0.5)), 0.5, rtol=1e-3)


def test_convolutions_of_a_type_of_their_own_leave_the_features_their_type():
    features = jnp.asarray(np.random.default_rng(0).standard_normal((2, 4, 4, 8), np.float32))
    params = jax.jit(BottleneckBlock(4, jnp.tanh).init)(jax.random.key(0), features)
    mixed = BottleneckBlock(4, jnp.tanh, dtype=jnp.bfloat16, convolution_dtype=jnp.float32)
    found = jax.jit(mixed.apply)(params, features.astype(jnp.bfloat16))
    assert found.dtype == jnp.bfloat16
    expected = jax.jit(BottleneckBlock(4, jnp.tanh).apply)(params, features)
    np.testing.assert_allclose(found.astype(jnp.float32), expected, rtol=0.03, atol=0.03)
