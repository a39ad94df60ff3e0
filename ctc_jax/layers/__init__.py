from ctc_jax.layers.dense_ctc import DenseCTC
from ctc_jax.layers.local_winner_take_all import LocalWinnerTakeAll
from ctc_jax.layers.mask_prior import MaskPrior, standard_prior
from ctc_jax.layers.masked_draw import MaskedDraw, divergence
from ctc_jax.layers.neighborhood_schedule import NeighborhoodSchedule
from ctc_jax.layers.positionwise import positionwise
from ctc_jax.layers.residual import ResidualBlock
from ctc_jax.layers.som_pooling import SOMPooling
from ctc_jax.layers.space_to_depth import depth_to_space, space_to_depth
from ctc_jax.layers.stochastic_max_pool import StochasticMaxPool
from ctc_jax.layers.stochastic_relu import StochasticReLU
from ctc_jax.layers.unpool import Unpool
from ctc_jax.layers.windows import check_window

__all__ = [
    "DenseCTC",
    "LocalWinnerTakeAll",
    "MaskPrior",
    "MaskedDraw",
    "NeighborhoodSchedule",
    "ResidualBlock",
    "SOMPooling",
    "StochasticMaxPool",
    "StochasticReLU",
    "Unpool",
    "check_window",
    "depth_to_space",
    "divergence",
    "positionwise",
    "space_to_depth",
    "standard_prior",
]
