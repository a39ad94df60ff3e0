"""A probability for every level of every channel, independent given the latents. Tests: test_categorical.py."""

from dataclasses import dataclass

import flax.linen as nn
from jaxtyping import Array, Float

from ctc_jax.distributions import IndependentPixels, PixelCategorical
from ctc_jax.likelihoods.output_layer import OutputLayer, values_last
from ctc_jax.likelihoods.scale import ScaleOptions
from ctc_jax.options import Options


class Categorical(nn.Module):
    """2^bits logits for each pixel and channel."""

    channels: int
    bits: int

    @nn.compact
    def __call__(self, features: Float[Array, "*batch height width features"]) -> IndependentPixels:
        """The distribution on images of levels 0..2^bits-1."""
        outputs = self.channels * 2**self.bits
        (logits,) = OutputLayer(((1.0,) * outputs,), ((0.0,) * outputs,), name="output")(features)
        logits = values_last(logits, (2**self.bits, self.channels), features.shape[:-1])
        return IndependentPixels(PixelCategorical(logits))


@dataclass(frozen=True)
class CategoricalOptions(Options):
    """`categorical` has no options."""

    def build(self, scale: ScaleOptions, *, shape: tuple[int, int, int], bits: int, features: int) -> Categorical:
        """The likelihood of images of levels 0..2^bits-1."""
        del scale, features
        return Categorical(shape[-1], bits)
