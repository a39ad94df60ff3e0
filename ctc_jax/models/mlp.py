"""Fully connected encoder and decoder. Tests: tests/models/test_vae.py."""

from collections.abc import Callable

import flax.linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution


class MLPNetwork(nn.Module):
    """Dense layers on the flattened image.

    Attributes:
      likelihood: features -> distribution on pixels.
      posterior: hidden features -> q(z|x).
      image_shape: height, width, channels.
      maximum: the highest pixel level, 2**bits - 1.
      width: units of a hidden layer.
      blocks: hidden layers on each side.
      features: features a pixel handed to the likelihood.
      activation: the nonlinearity.
      dtype: compute type.
    """

    likelihood: nn.Module
    posterior: nn.Module
    image_shape: tuple[int, int, int]
    maximum: int
    width: int
    blocks: int
    features: int
    activation: Callable
    dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers."""
        self.down = [nn.Dense(self.width, dtype=self.dtype) for _ in range(self.blocks)]
        self.up = [nn.Dense(self.width, dtype=self.dtype) for _ in range(self.blocks)]
        height, width, _ = self.image_shape
        self.out = nn.Dense(height * width * self.features, dtype=self.dtype)

    def __call__(self, images: Integer[Array, "batch height width channels"]) -> Distribution:
        """Encoder and decoder in turn, at the posterior's mean: initialization only."""
        return self.decode(self.encode(images).mean)

    def encode(self, images: Integer[Array, "batch height width channels"]) -> Distribution:
        """q(z|x)."""
        hidden = images.reshape(len(images), -1).astype(self.dtype) * (2.0 / self.maximum) - 1.0
        for layer in self.down:
            hidden = self.activation(layer(hidden))
        return self.posterior(hidden)

    def decode(self, code: Float[Array, "batch latents"]) -> Distribution:
        """p(x|z)."""
        hidden = code.astype(self.dtype)
        for layer in self.up:
            hidden = self.activation(layer(hidden))
        height, width, _ = self.image_shape
        return self.likelihood(self.out(hidden).reshape(-1, height, width, self.features))
