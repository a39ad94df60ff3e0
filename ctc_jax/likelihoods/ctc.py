"""Categorical-times-continuous: K components for the pixels that share a mask. Tests: test_ctc.py."""

import math
from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions import VALUE_FAMILIES, GroupedCTC, MaskGroup
from ctc_jax.distributions.mask_group import ALLOWED
from ctc_jax.likelihoods.output_layer import values_last
from ctc_jax.likelihoods.scale import SCALES, ScaleOptions
from ctc_jax.likelihoods.value_outputs import ValueOutputs
from ctc_jax.options import OptionError, Options, option


class CTC(nn.Module):
    """See `GroupedCTC` for the distribution and `ValueOutputs` for the scales.

    Attributes:
      channels: of the image.
      bits: levels are 0..2^bits-1.
      components: K, without the off component.
      family: of the values, a key of `VALUE_FAMILIES`.
      mask_group: positions that share a mask; a group's logits are the mean over its positions. Slow logits are meant:
        on the scale of one position's, spare components die before they have found a mode of their own.
      autoregressive: whether a channel's means depend linearly on the channels before it, with slopes in (-1, 1).
      off: whether one further component is exactly black.
      scale: a key of `scale.SCALES`.
      fixed_scale: in levels.
    """

    channels: int
    bits: int
    components: int = 10
    family: str = "logistic"
    mask_group: MaskGroup = MaskGroup(1)
    autoregressive: bool = False
    off: bool = False
    scale: str = "pixel"
    fixed_scale: float = 8.0

    @nn.compact
    def __call__(self, features: Float[Array, "*batch height width features"]) -> GroupedCTC:
        """The distribution on images of levels 0..2^bits-1.

        Raises:
          OptionError: patches do not tile the image.
        """
        masks = self.components + self.off
        pairs = math.comb(self.channels, 2) if self.autoregressive else 0
        values = ValueOutputs(
            self.components,
            self.channels,
            self.bits,
            self.scale,
            self.fixed_scale,
            masks=masks,
            others=pairs * self.components,
            mask_group=self.mask_group,
            name="values",
        )
        logits, slopes, loc, log_scale = values(features)
        positions = features.shape[:-1]
        logits = logits.reshape(masks, *positions[:-2], *self.mask_group.grid(*positions[-2:]))
        coefficients = None
        if pairs:
            coefficients = values_last(jnp.tanh(slopes), (pairs, self.components), positions)
        return GroupedCTC(
            jnp.moveaxis(logits, 0, -1),
            loc,
            log_scale,
            coefficients,
            bits=self.bits,
            family=self.family,
            mask_group=self.mask_group,
            off=self.off,
        )


@dataclass(frozen=True)
class CTCOptions(Options):
    """Options of `ctc`."""

    components: int = option(10, "K, without the off component", at_least=1)
    family: str = option("logistic", "of a component's values", choices=tuple(VALUE_FAMILIES))
    mask_group: str = option("pixel", f"pixels that share one mask: {ALLOWED}")
    autoregressive: bool = option(False, "whether means of a channel depend on the channels before it")
    off: bool = option(False, "whether one further component is exactly black")

    def check(self) -> None:
        """Refuses a mask group that is none."""
        MaskGroup.parse(self.mask_group)

    def build(self, scale: ScaleOptions, *, shape: tuple[int, int, int], bits: int, features: int) -> CTC:
        """The likelihood of images of levels 0..2^bits-1.

        Raises:
          OptionError: patches do not tile the image, or a scale for the whole image.
        """
        del features
        if scale.scale == "optimal":
            raise OptionError("scale", scale.scale, ", ".join(name for name in SCALES if name != "optimal"))
        height, width, channels = shape
        mask_group = MaskGroup.parse(self.mask_group)
        mask_group.grid(height, width)
        return CTC(
            channels,
            bits,
            components=self.components,
            family=self.family,
            mask_group=mask_group,
            autoregressive=self.autoregressive,
            off=self.off,
            scale=scale.scale,
            fixed_scale=scale.fixed_scale,
        )
