"""Binary pixels, independent given the latents. Tests: test_bernoulli.py."""

import flax.linen as nn
from jaxtyping import Array, Float

from ctc_jax.distributions import IndependentPixels, PixelBernoulli
from ctc_jax.errors import ConfigError
from ctc_jax.likelihoods.output_layer import OutputLayer, values_last


class Bernoulli(nn.Module):
    """One logit for each pixel and channel."""

    channels: int

    @nn.compact
    def __call__(self, features: Float[Array, "*batch height width features"]) -> IndependentPixels:
        """The distribution on images of levels 0 and 1."""
        zeros, ones = (0.0,) * self.channels, (8.0,) * self.channels
        (logits,) = OutputLayer((ones,), (zeros,), name="output")(features)
        return IndependentPixels(PixelBernoulli(values_last(logits, (self.channels,), features.shape[:-1])))


def build(config, *, channels: int, bits: int) -> Bernoulli:
    """From the config's `likelihood` section.

    Raises:
      ConfigError: the pixels have more than one bit.
    """
    del config
    if bits != 1:
        raise ConfigError(
            "likelihood.name",
            "bernoulli",
            f"bernoulli needs 1-bit pixels, here they have {bits} bits: "
            "set data.binarization to dynamic or threshold, or choose another likelihood",
        )
    return Bernoulli(channels)
