"""Gradients of expected rewards through sampled masks."""

from ctc_jax.distributions.mask_kind import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.distributions.mask_site import MaskSite
from ctc_jax.gradients.arms import ARMS
from ctc_jax.gradients.carms import CARMS
from ctc_jax.gradients.daps import DAPS
from ctc_jax.gradients.disarm import DisARM
from ctc_jax.gradients.double_cv import DoubleCV
from ctc_jax.gradients.enumeration import Enumerate
from ctc_jax.gradients.estimator import AbstractEstimator, Nested, Pathwise, Score, SinglePass
from ctc_jax.gradients.gumbel_rao import GumbelRao
from ctc_jax.gradients.gumbel_softmax import GumbelSoftmax, STGumbel
from ctc_jax.gradients.local_expectation import LocalExpectation
from ctc_jax.gradients.low_rank_local_expectation import LowRankLocalExpectation
from ctc_jax.gradients.moving_average import ScoreMovingAverage
from ctc_jax.gradients.muprop import MuProp
from ctc_jax.gradients.nvil import NVIL
from ctc_jax.gradients.registry import REGISTRY, SECTION, PerSite, build
from ctc_jax.gradients.reinmax import ReinMax
from ctc_jax.gradients.reinmax_cv import ReinMaxCV
from ctc_jax.gradients.reinmax_rao import ReinMaxRao
from ctc_jax.gradients.relaxed_control import REBAR, RELAX
from ctc_jax.gradients.rloo import RLOO
from ctc_jax.gradients.rodeo import RODEO
from ctc_jax.gradients.sampled_flips import DiagonalFlips, SingleFlips
from ctc_jax.gradients.score_function import ScoreFunction
from ctc_jax.gradients.source_baseline import SourceBaseline, SourceBaselineUnbiased
from ctc_jax.gradients.sparse_reward import SparseReward
from ctc_jax.gradients.stick_breaking import DisARMStickBreaking
from ctc_jax.gradients.straight_through import StraightThrough
from ctc_jax.gradients.surrogate import Estimate
from ctc_jax.gradients.vimco import vimco

__all__ = [
    "ARMS",
    "BERNOULLI",
    "CARMS",
    "CATEGORICAL",
    "DAPS",
    "NVIL",
    "REBAR",
    "REGISTRY",
    "RELAX",
    "RLOO",
    "RODEO",
    "SECTION",
    "AbstractEstimator",
    "DiagonalFlips",
    "DisARM",
    "DisARMStickBreaking",
    "DoubleCV",
    "Enumerate",
    "Estimate",
    "GumbelRao",
    "GumbelSoftmax",
    "LocalExpectation",
    "LowRankLocalExpectation",
    "MaskKind",
    "MaskSite",
    "MuProp",
    "Nested",
    "Pathwise",
    "PerSite",
    "ReinMax",
    "ReinMaxCV",
    "ReinMaxRao",
    "STGumbel",
    "Score",
    "ScoreFunction",
    "ScoreMovingAverage",
    "SingleFlips",
    "SinglePass",
    "SourceBaseline",
    "SourceBaselineUnbiased",
    "SparseReward",
    "StraightThrough",
    "build",
    "vimco",
]
