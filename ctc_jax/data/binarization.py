"""Grey levels binarized by chance, on the host and on devices. Tests: tests/data/test_binarization.py."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Integer, Key, UInt8


def binarized(
    images: UInt8[np.ndarray, "*batch height width channels"], highest: int, generator: np.random.Generator
) -> UInt8[np.ndarray, "*batch height width channels"]:
    """Each pixel 1 with probability level / `highest`, else 0.

    A uniform level of 0 .. highest - 1 lies below x with exactly that probability.
    """
    return (generator.integers(highest, size=images.shape, dtype=np.uint8) < images).astype(np.uint8)


def binarize(
    key: Key[Array, ""],
    images: Integer[Array, "count batch height width channels"],
    first_step: Int32[Array, ""],
    *,
    highest: int,
) -> Integer[Array, "count batch height width channels"]:
    """Each pixel 1 with probability level / `highest`, from a key of (`key`, step, place in the batch) per image."""

    def draw(image: Array, step: Array, position: Array) -> Array:
        own = jax.random.fold_in(jax.random.fold_in(key, step), position)
        return (jax.random.uniform(own, image.shape) * highest < image).astype(images.dtype)

    steps, positions = first_step + jnp.arange(images.shape[0]), jnp.arange(images.shape[1])
    return jax.vmap(jax.vmap(draw, (0, None, 0)), (0, 0, None))(images, steps, positions)
