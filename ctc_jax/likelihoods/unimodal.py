"""One Gaussian or logistic a pixel and channel, integrated over its bins. Tests: test_unimodal.py."""

import flax.linen as nn
from jaxtyping import Array, Float

from ctc_jax.distributions import DiscretizedGaussian, DiscretizedLogistic, IndependentPixels
from ctc_jax.likelihoods.value_outputs import ValueOutputs, check_scale


class Unimodal(nn.Module):
    """A value family on its own, without a mask.

    Attributes:
      family: of the values.
      channels: of the image.
      bits: levels are 0..2^bits-1.
      scale: a key of `value_outputs.SCALES`.
      fixed_scale: in levels.
    """

    family: type[DiscretizedGaussian] | type[DiscretizedLogistic]
    channels: int
    bits: int
    scale: str = "pixel"
    fixed_scale: float = 8.0

    @nn.compact
    def __call__(self, features: Float[Array, "*batch height width features"]) -> IndependentPixels:
        """The distribution on images of levels 0..2^bits-1."""
        values = ValueOutputs(1, self.channels, self.bits, self.scale, self.fixed_scale, name="values")
        _, _, loc, log_scale = values(features)
        return IndependentPixels(self.family(loc[..., 0, :], log_scale[..., 0, :], bits=self.bits))


def build_gaussian(config, *, channels: int, bits: int) -> Unimodal:
    """From the config's `likelihood` section.

    Raises:
      ConfigError: `scale` or `fixed_scale` is not allowed.
    """
    return Unimodal(DiscretizedGaussian, channels, bits, *check_scale(config))


def build_logistic(config, *, channels: int, bits: int) -> Unimodal:
    """From the config's `likelihood` section.

    Raises:
      ConfigError: `scale` or `fixed_scale` is not allowed.
    """
    return Unimodal(DiscretizedLogistic, channels, bits, *check_scale(config))
