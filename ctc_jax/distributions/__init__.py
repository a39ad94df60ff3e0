"""Densities and masses on arrays."""

from ctc_jax.distributions.bernoulli_times_continuous import BernoulliTimesContinuous
from ctc_jax.distributions.categorical_times_continuous import CategoricalTimesContinuous
from ctc_jax.distributions.correlated_pixels import CorrelatedPixels
from ctc_jax.distributions.discretized_gaussian import DiscretizedGaussian
from ctc_jax.distributions.discretized_logistic import DiscretizedLogistic
from ctc_jax.distributions.grouped_ctc import GroupedCTC
from ctc_jax.distributions.independent_pixels import IndependentPixels
from ctc_jax.distributions.mask_group import MaskGroup
from ctc_jax.distributions.mask_kind import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.distributions.mask_site import MaskSite
from ctc_jax.distributions.pixel_bernoulli import PixelBernoulli
from ctc_jax.distributions.pixel_categorical import PixelCategorical
from ctc_jax.distributions.registry import VALUE_FAMILIES

__all__ = [
    "BERNOULLI",
    "CATEGORICAL",
    "VALUE_FAMILIES",
    "BernoulliTimesContinuous",
    "CategoricalTimesContinuous",
    "CorrelatedPixels",
    "DiscretizedGaussian",
    "DiscretizedLogistic",
    "GroupedCTC",
    "IndependentPixels",
    "MaskGroup",
    "MaskKind",
    "MaskSite",
    "PixelBernoulli",
    "PixelCategorical",
]
