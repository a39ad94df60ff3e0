"""One Gaussian or logistic a pixel and channel, integrated over its bins. Tests: test_unimodal.py."""

import math
from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions import (
    CorrelatedPixels,
    DiscretizedGaussian,
    DiscretizedLogistic,
    GroupedCTC,
    IndependentPixels,
    MaskGroup,
)
from ctc_jax.likelihoods.output_layer import values_last
from ctc_jax.likelihoods.scale import ScaleOptions
from ctc_jax.likelihoods.value_outputs import LOG_SCALE_UNIT, ValueOutputs
from ctc_jax.options import OptionError, Options, option

FAMILIES = {"gaussian": DiscretizedGaussian, "logistic": DiscretizedLogistic}
# Of the scales that an image may have, over the one where they start: a factor of e a unit.
WIDEST = math.log(8.0)


class Unimodal(nn.Module):
    """A value family on its own, without a mask.

    Attributes:
      family: of the values, a key of `FAMILIES`.
      channels: of the image.
      bits: levels are 0..2^bits-1.
      scale: a key of `scale.SCALES`.
      fixed_scale: in levels.
      scales: how many there are for a whole image, where `scale` is "optimal".
      rank: random factors that all pixels share.
    """

    family: str
    channels: int
    bits: int
    scale: str = "pixel"
    fixed_scale: float = 8.0
    scales: int = 16
    rank: int = 0

    @nn.compact
    def __call__(
        self, features: Float[Array, "*batch height width features"]
    ) -> IndependentPixels | CorrelatedPixels | GroupedCTC:
        """The distribution on images of levels 0..2^bits-1; with a rank that about which a model knows the factors."""
        scale = "fixed" if self.scale == "optimal" else self.scale
        values = ValueOutputs(
            1, self.channels, self.bits, scale, self.fixed_scale, others=self.rank * self.channels, name="values"
        )
        _, loadings, loc, log_scale = values(features)
        if self.scale == "optimal":
            return self._of_best_scale(loc)
        loc, log_scale = loc[..., 0, :], log_scale[..., 0, :]
        if not self.rank:
            return IndependentPixels(FAMILIES[self.family](loc, log_scale, bits=self.bits))
        # Together the factors move a pixel at the start as far as the network moves its location.
        unit = (2**self.bits - 1) / 2 / math.sqrt(self.rank)
        loadings = unit * values_last(loadings, (self.channels, self.rank), features.shape[:-1])
        return CorrelatedPixels(loc, log_scale, loadings, bits=self.bits, family=FAMILIES[self.family])

    def _of_best_scale(self, loc: Float[Array, "*batch height width 1 channels"]) -> GroupedCTC:
        """A mixture over scales whose choice is the image's, all about one location."""

        def start(*_) -> Float[Array, " scales"]:
            return (math.log(self.fixed_scale) + jnp.linspace(-WIDEST, WIDEST, self.scales)) / LOG_SCALE_UNIT

        log_scale = LOG_SCALE_UNIT * self.param("log_scale", start)
        logits = self.param("scale_logits", nn.initializers.zeros, (self.scales,))
        *batch, height, width, _, channels = loc.shape
        shape = (*batch, height, width, self.scales, channels)
        return GroupedCTC(
            jnp.broadcast_to(logits.reshape((1,) * (len(batch) + 2) + (-1,)), (*batch, 1, 1, self.scales)),
            jnp.broadcast_to(loc, shape),
            jnp.broadcast_to(log_scale.reshape((1,) * (len(batch) + 2) + (-1, 1)), shape),
            bits=self.bits,
            family=self.family,
            mask_group=MaskGroup.parse("image"),
        )


@dataclass(frozen=True)
class UnimodalOptions(Options):
    """Options of both families."""

    rank: int = option(
        0, "factors, standard normal latents that move the locations of all pixels linearly: 0 is none", at_least=0
    )
    family: ClassVar[str]

    def build(self, scale: ScaleOptions, *, shape: tuple[int, int, int], bits: int, features: int) -> Unimodal:
        """The likelihood of images of levels 0..2^bits-1.

        Raises:
          OptionError: factors beside a scale for the whole image.
        """
        del features
        if self.rank and scale.scale == "optimal":
            raise OptionError("rank", self.rank, "0 with likelihood.scale=optimal, else any")
        of_scale = (scale.scale, scale.fixed_scale, scale.scales)
        return Unimodal(self.family, shape[-1], bits, *of_scale, self.rank)


@dataclass(frozen=True)
class GaussianOptions(UnimodalOptions):
    """One Gaussian per pixel and channel, integrated over the levels' bins."""

    family: ClassVar[str] = "gaussian"


@dataclass(frozen=True)
class LogisticOptions(UnimodalOptions):
    """One logistic per pixel and channel, integrated over the levels' bins."""

    family: ClassVar[str] = "logistic"
