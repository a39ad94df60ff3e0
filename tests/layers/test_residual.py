import jax
import jax.numpy as jnp
import numpy as np
from scipy.signal import correlate

from ctc_jax.layers import ResidualBlock


def randomized(block, features, scale=0.3):
    """Parameters of the block with every leaf, biases too, away from its start."""
    params = block.init(jax.random.key(0), features)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return tree.unflatten([scale * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)])


def convolved(hidden, layer):
    """A 3x3 cross-correlation with zero padding, by scipy, channel by channel."""
    kernel, bias = np.asarray(layer["kernel"], np.float64), np.asarray(layer["bias"], np.float64)
    out = np.zeros((*hidden.shape[:3], kernel.shape[3]))
    for image, into, outof in np.ndindex(len(hidden), kernel.shape[2], kernel.shape[3]):
        out[image, ..., outof] += correlate(hidden[image, ..., into], kernel[..., into, outof], mode="same")
    return out + bias


def test_block_equals_its_formula():
    block, features = ResidualBlock(jnp.tanh), jax.random.normal(jax.random.key(2), (2, 5, 4, 3))
    params = randomized(block, features)
    x = np.asarray(features, np.float64)
    first, second = params["params"]["first"], params["params"]["second"]
    expected = x + convolved(np.tanh(convolved(np.tanh(x), first)), second)
    np.testing.assert_allclose(block.apply(params, features), expected, rtol=1e-4, atol=1e-5)


def test_block_starts_as_the_identity_at_scale_zero():
    block, features = ResidualBlock(jax.nn.silu, residual_scale=0.0), jax.random.normal(jax.random.key(2), (2, 4, 6, 3))
    out, _ = block.init_with_output(jax.random.key(0), features)
    np.testing.assert_array_equal(out, features)


def test_residual_scale_is_the_start_of_the_last_convolution_relative_to_the_usual_one():
    features = jnp.zeros((1, 4, 4, 16))
    usual, small = (
        np.asarray(ResidualBlock(jax.nn.silu, scale).init(jax.random.key(0), features)["params"]["second"]["kernel"])
        for scale in (1.0, 0.25)
    )
    np.testing.assert_allclose(small, 0.25 * usual, rtol=1e-5)


def test_shifting_the_input_shifts_the_interior_of_the_output():
    block, features = ResidualBlock(jnp.tanh), jax.random.normal(jax.random.key(3), (1, 9, 9, 2))
    params = randomized(block, features)
    shifted = block.apply(params, jnp.roll(features, (1, 2), axis=(1, 2)))
    expected = jnp.roll(block.apply(params, features), (1, 2), axis=(1, 2))
    # Two 3x3 convolutions see two pixels far: what is nearer to an edge, moved or not, sees the padding.
    inner = (slice(None), slice(3, -2), slice(4, -2))
    np.testing.assert_allclose(shifted[inner], expected[inner], rtol=1e-5, atol=1e-6)
    assert not np.allclose(shifted, expected, atol=1e-3)


def test_bfloat16_computes_in_bfloat16_with_float32_parameters():
    features = jax.random.normal(jax.random.key(2), (1, 4, 4, 3))
    params = randomized(ResidualBlock(jnp.tanh), features)
    out = ResidualBlock(jnp.tanh, dtype=jnp.bfloat16).apply(params, features.astype(jnp.bfloat16))
    fresh = ResidualBlock(jnp.tanh, dtype=jnp.bfloat16).init(jax.random.key(0), features)
    assert out.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {np.dtype(np.float32)}
    # bfloat16 keeps 8 bits; a few rounded sums of values near 1.
    np.testing.assert_allclose(
        out.astype(jnp.float32), ResidualBlock(jnp.tanh).apply(params, features), rtol=0.03, atol=0.05
    )
