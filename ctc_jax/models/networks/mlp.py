"""Fully connected encoder and decoder. Tests: tests/models/test_vae.py."""

from collections.abc import Callable

import flax.linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.likelihoods.factored import FactoredDense
from ctc_jax.models.networks.one_latent import OneLatent


class MLPNetwork(OneLatent):
    """Dense layers on the flattened image.

    Attributes:
      width: units of a hidden layer.
      blocks: hidden layers of the encoder.
      decoder_blocks: of the decoder; None is as many.
      features: features per pixel handed to the likelihood.
      activation: the nonlinearity.
      dtype: compute type.
    """

    width: int
    blocks: int
    decoder_blocks: int | None
    features: int
    activation: Callable
    dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers."""
        self.down = [nn.Dense(self.width, dtype=self.dtype) for _ in range(self.blocks)]
        up = self.blocks if self.decoder_blocks is None else self.decoder_blocks
        self.up = [nn.Dense(self.width, dtype=self.dtype) for _ in range(up)]
        height, width, _ = self.image_shape
        self.out = FactoredDense((height, width, self.features))

    def hidden(self, images: Integer[Array, "batch height width channels"]) -> Float[Array, "batch features"]:
        """The last hidden layer of the encoder."""
        hidden = images.reshape(len(images), -1).astype(self.dtype) * (2.0 / self.maximum) - 1.0
        for layer in self.down:
            hidden = self.activation(layer(hidden))
        return hidden

    def decode(self, code: Float[Array, "batch latents"]) -> Distribution:
        """p(x|z)."""
        hidden = code.astype(self.dtype)
        for layer in self.up:
            hidden = self.activation(layer(hidden))
        features = self.out(hidden)
        return self.likelihood(features if getattr(self.likelihood, "factored", False) else features.product)
