"""Binary pixels, independent given the latents. Tests: test_bernoulli.py."""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp

from ctc_jax.distributions import IndependentPixels, PixelBernoulli
from ctc_jax.likelihoods.factored import Factored, Features
from ctc_jax.likelihoods.output_layer import OutputLayer, values_last
from ctc_jax.likelihoods.scale import ScaleOptions
from ctc_jax.options import OptionError, Options, option


class Bernoulli(nn.Module):
    """One logit for each pixel and channel.

    Attributes:
      factored: takes features that are not multiplied out yet.
      channels: of the images.
      output_layer: whether a dense layer makes the logits of the features; else the features are the logits.
    """

    factored: ClassVar[bool] = True
    channels: int
    output_layer: bool = True

    @nn.compact
    def __call__(self, features: Features) -> IndependentPixels:
        """The distribution on images of levels 0 and 1.

        Raises:
          OptionError: features that are to be logits are not one for each channel.
        """
        if not self.output_layer:
            _check_features(features.shape[-1], self.channels)
            features = features.product if isinstance(features, Factored) else features
            return IndependentPixels(PixelBernoulli(features.astype(jnp.float32)))
        zeros, ones = (0.0,) * self.channels, (8.0,) * self.channels
        (logits,) = OutputLayer((ones,), (zeros,), name="output")(features)
        return IndependentPixels(PixelBernoulli(values_last(logits, (self.channels,), features.shape[:-1])))


def _check_features(features, channels):
    if features != channels:
        raise OptionError("features", features, f"{channels}, one for each channel, without an output layer")


@dataclass(frozen=True)
class BernoulliOptions(Options):
    """Options of `bernoulli`."""

    output_layer: bool = option(True, "False: the network's features, one for each channel, are the logits themselves")

    def build(self, scale: ScaleOptions, *, shape: tuple[int, int, int], bits: int, features: int) -> Bernoulli:
        """The likelihood of images.

        Raises:
          OptionError: the pixels have more than one bit, or features that are to be logits are not one a channel.
        """
        del scale
        if bits != 1:
            raise OptionError("bits", bits, "1")
        if not self.output_layer:
            _check_features(features, shape[-1])
        return Bernoulli(shape[-1], self.output_layer)
