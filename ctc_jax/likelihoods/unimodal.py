"""One Gaussian or logistic a pixel and channel, integrated over its bins. Tests: test_unimodal.py."""

from dataclasses import dataclass

import flax.linen as nn
from jaxtyping import Array, Float

from ctc_jax.distributions import DiscretizedGaussian, DiscretizedLogistic, IndependentPixels
from ctc_jax.likelihoods.scale import ScaleOptions
from ctc_jax.likelihoods.value_outputs import ValueOutputs
from ctc_jax.options import Options


class Unimodal(nn.Module):
    """A value family on its own, without a mask.

    Attributes:
      family: of the values.
      channels: of the image.
      bits: levels are 0..2^bits-1.
      scale: a key of `scale.SCALES`.
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


@dataclass(frozen=True)
class GaussianOptions(Options):
    """`gaussian` has no options but those of the scale."""

    def build(self, scale: ScaleOptions, *, shape: tuple[int, int, int], bits: int, features: int) -> Unimodal:
        """The likelihood of images of levels 0..2^bits-1."""
        del features
        return Unimodal(DiscretizedGaussian, shape[-1], bits, scale.scale, scale.fixed_scale)


@dataclass(frozen=True)
class LogisticOptions(Options):
    """`logistic` has no options but those of the scale."""

    def build(self, scale: ScaleOptions, *, shape: tuple[int, int, int], bits: int, features: int) -> Unimodal:
        """The likelihood of images of levels 0..2^bits-1."""
        del features
        return Unimodal(DiscretizedLogistic, shape[-1], bits, scale.scale, scale.fixed_scale)
