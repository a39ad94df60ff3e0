"""Gradients of expected rewards through sampled masks."""

from ctc_jax.gradients.estimator import BoundEstimator, Estimator
from ctc_jax.gradients.exact import enumerate_masks, local_expectation
from ctc_jax.gradients.mask_kind import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.gradients.registry import REGISTRY, build
from ctc_jax.gradients.relaxed import gumbel_rao, gumbel_softmax, reinmax, st_gumbel, straight_through
from ctc_jax.gradients.score_function import disarm, double_cv, muprop, rloo, score
from ctc_jax.gradients.sparse_reward import SparseReward
from ctc_jax.gradients.surrogate import Estimate

__all__ = [
    "BERNOULLI",
    "CATEGORICAL",
    "REGISTRY",
    "BoundEstimator",
    "Estimate",
    "Estimator",
    "MaskKind",
    "SparseReward",
    "build",
    "disarm",
    "double_cv",
    "enumerate_masks",
    "gumbel_rao",
    "gumbel_softmax",
    "local_expectation",
    "muprop",
    "reinmax",
    "rloo",
    "score",
    "st_gumbel",
    "straight_through",
]
