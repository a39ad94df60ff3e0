"""Resolution down and up without parameters. Tests: tests/layers/test_mean_pool.py."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def mean_pool(
    features: Float[Array, "batch height width channels"], block: int
) -> Float[Array, "batch height/{block} width/{block} channels"]:
    """The mean of each block x block patch; `block` divides height and width."""
    batch, height, width, channels = features.shape
    patches = features.reshape(batch, height // block, block, width // block, block, channels)
    return patches.mean(axis=(2, 4))


def repeat(
    features: Float[Array, "batch height width channels"], block: int
) -> Float[Array, "batch height*{block} width*{block} channels"]:
    """Each position becomes a block x block patch."""
    batch, height, width, channels = features.shape
    patches = jnp.broadcast_to(features[:, :, None, :, None], (batch, height, block, width, block, channels))
    return patches.reshape(batch, height * block, width * block, channels)
