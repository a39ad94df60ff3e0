"""Convolutions at a fraction of the channels around them. Tests: tests/layers/test_bottleneck.py."""

from collections.abc import Callable

import flax.linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ctc_jax.layers.positionwise import positionwise

# On a smaller side a 3x3 kernel sees little beside padding.
LEAST_SIDE = 3


class Bottleneck(nn.Module):
    """Two convolutions of `channels`, entered and left through the nonlinearity (He et al. 2016; Child 2021).

    3x3, or where a side of the map has fewer than 3 positions, 1x1.

    Attributes:
      channels: of the convolutions.
      activation: the nonlinearity.
      dtype: compute type; parameters are float32.
      convolution_dtype: that of 3x3 convolutions alone; None is the same.
    """

    channels: int
    activation: Callable
    dtype: DTypeLike | None = None
    convolution_dtype: DTypeLike | None = None

    @nn.compact
    def __call__(
        self, features: Float[Array, "batch height width _"]
    ) -> Float[Array, "batch height width {self.channels}"]:
        """What was found, ready for a dense layer at each position."""
        small = min(features.shape[1:3]) < LEAST_SIDE
        found = positionwise(nn.Dense(self.channels, dtype=self.dtype, name="enter"), self.activation(features))
        for name in ("first", "second"):
            if small:
                found = positionwise(nn.Dense(self.channels, dtype=self.dtype, name=name), self.activation(found))
            else:
                dtype = self.convolution_dtype or self.dtype
                convolution = nn.Conv(self.channels, (3, 3), dtype=dtype, name=name)
                found = convolution(self.activation(found)).astype(found.dtype)
        return self.activation(found)


class BottleneckBlock(nn.Module):
    """x + dense(bottleneck(x)), without normalization.

    Attributes:
      channels: of the convolutions.
      activation: the nonlinearity.
      residual_scale: standard deviation of the last layer's start relative to the usual one; with n blocks in the
        network 1/sqrt(n) keeps the variance of the sum.
      dtype: compute type; parameters are float32.
      convolution_dtype: that of 3x3 convolutions alone; None is the same.
    """

    channels: int
    activation: Callable
    residual_scale: float = 1.0
    dtype: DTypeLike | None = None
    convolution_dtype: DTypeLike | None = None

    @nn.compact
    def __call__(
        self, features: Float[Array, "batch height width width_of"]
    ) -> Float[Array, "batch height width width_of"]:
        """Features of the same shape."""
        bottleneck = Bottleneck(self.channels, self.activation, self.dtype, self.convolution_dtype, name="bottleneck")
        found = bottleneck(features)
        return features + positionwise(scaled_dense(features.shape[-1], self.residual_scale, self.dtype), found)


def scaled_dense(features: int, scale: float, dtype: DTypeLike | None = None) -> nn.Dense:
    """A dense layer whose kernel starts `scale` times as large as usual."""
    start = nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")
    return nn.Dense(features, dtype=dtype, kernel_init=start)
