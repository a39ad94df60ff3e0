"""One unit of each block wins, the others are 0. Tests: tests/layers/test_local_winner_take_all.py."""

import flax.linen as nn
from jaxtyping import Array, Float

from ctc_jax.distributions import CategoricalTimesContinuous
from ctc_jax.layers.mask_parameters import MaskParameters, check_beta
from ctc_jax.layers.masked_draw import select_values
from ctc_jax.layers.masked_layer import MaskedLayer


class LocalWinnerTakeAll(MaskedLayer):
    """A categorical mask over blocks of neighboring units (the last axis), times their values.

    Tied, its limit as beta goes to infinity is hard LWTA (Srivastava et al. 2013), which `math.inf` gives exactly: the
    largest unit of a block keeps its value, at a tie the first.

    Attributes:
      block: units that compete.
      beta: of masks tied to the pre-activations; `math.inf` for hard LWTA; None for logits of their own.
      gaussian: values are Gaussian around the pre-activations with a learned scale; else the pre-activations.

    Raises:
      ValueError: beta is not above 0, or a block of fewer than 2; when called, blocks that do not divide the units
        (`check_units` tells before).
    """

    block: int
    beta: float | None = 1.0
    gaussian: bool = False

    def __post_init__(self):
        check_beta(self.beta)
        if self.block < 2:
            raise ValueError(f"block of K = {self.block} units leaves no choice; allowed: 2 or more")
        super().__post_init__()

    def check_units(self, units: int) -> None:
        """Refuses a number of units that blocks do not divide: for whoever builds a model and knows it.

        Raises:
          ValueError: they do not.
        """
        if units % self.block:
            raise ValueError(f"blocks of {self.block} do not divide the units, {units}; allowed: a block that does")

    @nn.compact
    def distribution(self, features: Float[Array, "batch ..."]) -> CategoricalTimesContinuous:
        """Of each block, from `[batch, ..., units]`: batch shape `[batch, ..., blocks]`, event shape `[block]`."""
        self.check_units(features.shape[-1])
        units = MaskParameters(self.beta, self.gaussian, name="parameters")(features)
        return units.arranged(lambda of: of.reshape(*of.shape[:-1], -1, self.block)).choices()

    def select(self, mask: Float[Array, "batch ..."], values: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        """m * s of both `[batch, ..., blocks, block]`, as units again."""
        selected = select_values(mask, values)
        return selected.reshape(*selected.shape[:-2], -1)
