"""Binary pixels, independent given the latents. Tests: test_bernoulli.py."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions import IndependentPixels, PixelBernoulli
from ctc_jax.errors import ConfigError
from ctc_jax.likelihoods.output_layer import OutputLayer, values_last


class Bernoulli(nn.Module):
    """One logit for each pixel and channel.

    Attributes:
      channels: of the images.
      output_layer: whether a dense layer makes the logits of the features; else the features are the logits.
    """

    channels: int
    output_layer: bool = True

    @nn.compact
    def __call__(self, features: Float[Array, "*batch height width features"]) -> IndependentPixels:
        """The distribution on images of levels 0 and 1.

        Raises:
          ConfigError: features that are to be logits are not one a channel.
        """
        if not self.output_layer:
            if features.shape[-1] != self.channels:
                allowed = f"{self.channels}, one a channel, where likelihood.output_layer is False"
                raise ConfigError("model.features", features.shape[-1], allowed)
            return IndependentPixels(PixelBernoulli(features.astype(jnp.float32)))
        zeros, ones = (0.0,) * self.channels, (8.0,) * self.channels
        (logits,) = OutputLayer((ones,), (zeros,), name="output")(features)
        return IndependentPixels(PixelBernoulli(values_last(logits, (self.channels,), features.shape[:-1])))


def build(config, *, channels: int, bits: int) -> Bernoulli:
    """From the config's `likelihood` section.

    Raises:
      ConfigError: the pixels have more than one bit.
    """
    if bits != 1:
        raise ConfigError(
            "likelihood.name",
            "bernoulli",
            f"bernoulli needs 1-bit pixels, here they have {bits} bits: "
            "set data.binarization to dynamic or threshold, or choose another likelihood",
        )
    return Bernoulli(channels, config.output_layer)
