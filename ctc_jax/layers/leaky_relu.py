"""A leaky rectifier of a stated slope. Tests: tests/layers/test_leaky_relu.py."""

from dataclasses import dataclass

import flax.linen as nn
from jaxtyping import Array, Float


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
