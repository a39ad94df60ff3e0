"""A VAE of one hidden layer. Copy the network to ctc_jax/models/networks/ and the rest to ctc_jax/models/."""

from collections.abc import Callable
from dataclasses import dataclass

import flax.linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.networks.one_latent import OneLatent
from ctc_jax.models.setting import ModelOptions, Setting, SharedOptions
from ctc_jax.options import option


class ShallowNetwork(OneLatent):
    """One layer from pixels to the encoder's features, one from the code to the likelihood's.

    Attributes:
      width: features of the encoder.
      features: per pixel, handed to the likelihood.
      activation: the nonlinearity.
      dtype: compute type.
    """

    width: int
    features: int
    activation: Callable
    dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers."""
        height, width, _ = self.image_shape
        self.down = nn.Dense(self.width, dtype=self.dtype)
        self.up = nn.Dense(height * width * self.features, dtype=self.dtype)

    def hidden(self, images: Integer[Array, "batch height width channels"]) -> Float[Array, "batch features"]:
        """The features from which the posterior is made."""
        pixels = self.inputs(images).reshape(len(images), -1).astype(self.dtype)
        return self.activation(self.down(pixels))

    def decode(self, code: Float[Array, "batch latents"]) -> Distribution:
        """p(x|z)."""
        height, width, _ = self.image_shape
        features = self.up(code.astype(self.dtype))
        return self.likelihood(features.reshape(len(code), height, width, self.features))


@dataclass(frozen=True)
class ShallowVAE(ModelOptions):
    """Options of `shallow_vae`: the keys model.shallow_vae.*"""

    narrowing: int = option(1, "how many times fewer features the encoder has than model.width", at_least=1)

    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model."""
        network = ShallowNetwork(
            posterior=setting.posterior(shared.latents),
            width=max(1, shared.width // self.narrowing),
            **shared.network(setting),
        )
        return ChainModel(network)
