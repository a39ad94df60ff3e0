from ctc_jax.layers.bottleneck import Bottleneck, BottleneckBlock, scaled_dense
from ctc_jax.layers.dense_ctc import DenseCTC
from ctc_jax.layers.local_winner_take_all import LocalWinnerTakeAll
from ctc_jax.layers.masked_layer import MaskedLayer, Unmasked
from ctc_jax.layers.mean_pool import mean_pool, repeat
from ctc_jax.layers.neighborhood_schedule import NeighborhoodSchedule
from ctc_jax.layers.positionwise import positionwise
from ctc_jax.layers.residual import ResidualBlock
from ctc_jax.layers.som_pooling import SOMPooling
from ctc_jax.layers.space_to_depth import depth_to_space, space_to_depth
from ctc_jax.layers.stochastic_max_pool import StochasticMaxPool
from ctc_jax.layers.stochastic_relu import StochasticReLU
from ctc_jax.layers.unit_head import MaskParameters, UnitHead
from ctc_jax.layers.units import Units
from ctc_jax.layers.windows import check_window

__all__ = [
    "Bottleneck",
    "BottleneckBlock",
    "DenseCTC",
    "LocalWinnerTakeAll",
    "MaskParameters",
    "MaskedLayer",
    "NeighborhoodSchedule",
    "ResidualBlock",
    "SOMPooling",
    "StochasticMaxPool",
    "StochasticReLU",
    "UnitHead",
    "Units",
    "Unmasked",
    "check_window",
    "depth_to_space",
    "mean_pool",
    "positionwise",
    "repeat",
    "scaled_dense",
    "space_to_depth",
]
