"""Gradients of expected rewards through sampled masks."""

from ctc_jax.distributions.mask_kind import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.gradients.checks import check_logits, check_masks
from ctc_jax.gradients.dirichlet_copula import arms
from ctc_jax.gradients.estimator import BoundEstimator, Estimator
from ctc_jax.gradients.exact import enumerate_masks, local_expectation
from ctc_jax.gradients.low_rank import low_rank_local_expectation
from ctc_jax.gradients.pathwise_baseline import source_baseline, source_baseline_unbiased
from ctc_jax.gradients.per_latent import PerLatent, build_per_latent
from ctc_jax.gradients.registry import REGISTRY, build
from ctc_jax.gradients.relaxed import gumbel_rao, gumbel_softmax, reinmax, st_gumbel, straight_through
from ctc_jax.gradients.relaxed_control import rebar, relax
from ctc_jax.gradients.sampled_flips import diagonal_flips, single_flips
from ctc_jax.gradients.score_function import disarm, double_cv, muprop, rloo, score
from ctc_jax.gradients.sparse_reward import SparseReward
from ctc_jax.gradients.stick_breaking import disarm_stick_breaking
from ctc_jax.gradients.surrogate import Estimate
from ctc_jax.gradients.vimco import vimco

__all__ = [
    "BERNOULLI",
    "CATEGORICAL",
    "REGISTRY",
    "BoundEstimator",
    "Estimate",
    "Estimator",
    "MaskKind",
    "PerLatent",
    "SparseReward",
    "arms",
    "build",
    "build_per_latent",
    "check_logits",
    "check_masks",
    "diagonal_flips",
    "disarm",
    "disarm_stick_breaking",
    "double_cv",
    "enumerate_masks",
    "gumbel_rao",
    "gumbel_softmax",
    "local_expectation",
    "low_rank_local_expectation",
    "muprop",
    "rebar",
    "reinmax",
    "relax",
    "rloo",
    "score",
    "single_flips",
    "source_baseline",
    "source_baseline_unbiased",
    "st_gumbel",
    "straight_through",
    "vimco",
]
