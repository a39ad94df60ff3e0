"""Pixel levels: which numbers are levels, and their order in memory. Tests: test_levels.py."""

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num


def told_levels(value: Num[ArrayLike, "*shape"], count: int) -> tuple[Num[Array, "*shape"], Float[Array, "*shape"]]:
    """The value with 0 in place of what is no level, and the log mass of that: -inf at numbers, nan at nan.

    The second is 0 at levels, the whole numbers 0..count-1. A pixel's log mass is best chosen by it: added, it would
    keep XLA's CPU backend from vectorizing the loop.
    """
    value = jnp.asarray(value)
    if value.dtype == jnp.uint8 and count == 256:  # holds nothing else
        return value, jnp.zeros(value.shape)
    number = value.astype(jnp.float32)
    is_level = (number >= 0) & (number < count) & (number == jnp.round(number))
    return jnp.where(is_level, value, 0), jnp.where(is_level, 0.0, jnp.where(jnp.isnan(number), jnp.nan, -jnp.inf))


def channels_first(value: Num[Array, "*positions channels"]) -> Float[Array, "channels *positions"]:
    """The transposition as float32, by a product with the identity, exact for levels.

    A plain transposition would be drawn into every loop that reads it, where strided bytes prevent vectorization.
    """
    identity = jnp.eye(value.shape[-1], dtype=jnp.float32)
    return lax.dot_general(identity, value.astype(jnp.float32), (((1,), (value.ndim - 1,)), ((), ())))
