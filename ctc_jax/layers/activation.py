"""Activation functions by name, and a leaky rectifier of a stated slope. Tests: tests/layers/test_activation.py."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

REGISTRY = {
    "silu": nn.silu,
    "relu": nn.relu,
    "tanh": jnp.tanh,
    "elu": nn.elu,
    "leaky_relu": nn.leaky_relu,
}


@dataclass(frozen=True)
class LeakyReLU:
    """max(x, slope x) for slopes up to 1; two of one slope are equal, so that jit compiles a rebuilt model once.

    Attributes:
      slope: below 0.
    """

    slope: float

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Elementwise."""
        return nn.leaky_relu(x, self.slope)
