"""Densities and masses on arrays."""

from ctc_jax.distributions.discretized_gaussian import DiscretizedGaussian
from ctc_jax.distributions.discretized_logistic import DiscretizedLogistic
from ctc_jax.distributions.grouped_ctc import GroupedCTC
from ctc_jax.distributions.mask_group import MaskGroup
from ctc_jax.distributions.pixels import IndependentPixels, PixelBernoulli, PixelCategorical
from ctc_jax.distributions.registry import VALUE_FAMILIES

__all__ = [
    "VALUE_FAMILIES",
    "DiscretizedGaussian",
    "DiscretizedLogistic",
    "GroupedCTC",
    "IndependentPixels",
    "MaskGroup",
    "PixelBernoulli",
    "PixelCategorical",
]
