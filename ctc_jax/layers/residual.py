"""Residual 3x3 blocks, which XLA's CPU backend and GPUs both run well. Tests: tests/layers/test_residual.py."""

from collections.abc import Callable

import flax.linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float


class ResidualBlock(nn.Module):
    """Pre-activation residual block without normalization: x + conv(act(conv(act(x)))).

    The last convolution starts small, so that a deep stack starts near the identity and needs no normalization
    (which would make an image's code depend on its batch, or cost as much as a convolution on CPU).

    Attributes:
      activation: the nonlinearity.
      residual_scale: standard deviation of the last convolution's start relative to the usual one; with n blocks
        in the network 1/sqrt(n) keeps the variance of the sum.
      dtype: compute type of the convolutions; parameters are float32, and the sum has the type of the features.
    """

    activation: Callable
    residual_scale: float = 1.0
    dtype: DTypeLike | None = None

    @nn.compact
    def __call__(
        self, features: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Returns features of the same shape."""
        channels = features.shape[-1]
        small = nn.initializers.variance_scaling(self.residual_scale**2, "fan_in", "truncated_normal")
        hidden = nn.Conv(channels, (3, 3), dtype=self.dtype, name="first")(self.activation(features))
        second = nn.Conv(channels, (3, 3), dtype=self.dtype, kernel_init=small, name="second")
        return features + second(self.activation(hidden)).astype(features.dtype)
