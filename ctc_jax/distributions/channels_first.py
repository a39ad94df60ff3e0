"""Levels in the order of the outputs they are compared with. Tests: test_channels_first.py."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Num


def channels_first(value: Num[Array, "*positions channels"]) -> Float[Array, "channels *positions"]:
    """The transposition as float32, by a product with the identity, exact for levels.

    A plain transposition would be drawn into every loop that reads it, where strided bytes prevent vectorization.
    """
    identity = jnp.eye(value.shape[-1], dtype=jnp.float32)
    return lax.dot_general(identity, value.astype(jnp.float32), (((1,), (value.ndim - 1,)), ((), ())))
