"""What masks the units of a level: nothing, a choice in each window, a gate each. Tests: test_level_family.py."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.gradients import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.layers.mask_parameters import UnitParameters
from ctc_jax.layers.windows import join_windows, split_windows
from ctc_jax.models.gaussian_law import GaussianLaw
from ctc_jax.models.mask_law import MaskLaw

WINDOW = (2, 2)
POSITIONS = WINDOW[0] * WINDOW[1]


@dataclass(frozen=True)
class LevelFamily:
    """A latent on a feature map, made of the same units whatever the family: only what masks them differs.

    Its places are the units `[height, width, channels]` themselves, or where `pooled` the windows of 2 x 2 units, row
    by row, channels last.

    Attributes:
      kind: of the masks; None if every unit is on.
      pooled: whether the mask is a choice of one unit of each window and channel.
    """

    kind: MaskKind | None
    pooled: bool = False

    def law(self, units: UnitParameters) -> GaussianLaw | MaskLaw:
        """Of a feature map of units `[batch, height, width, channels]`, with its places in one axis."""
        if self.pooled:
            units = units.arranged(lambda of: split_windows(of, WINDOW).reshape(len(of), -1, POSITIONS))
        else:
            units = units.arranged(lambda of: of.reshape(len(of), -1))
        return GaussianLaw(units.values) if self.kind is None else MaskLaw(self.kind, units.logits, units.values)

    def feature_map(self, latent: Float[Array, "batch ..."], shape: tuple[int, int, int]) -> Float[Array, "batch ..."]:
        """A latent as the map `[batch, *shape]` of its units, 0 where masked: pooled values are unpooled."""
        if not self.pooled:
            return latent.reshape(-1, *shape)
        return join_windows(self.windows(latent, shape), WINDOW)

    def going_up(self, latent: Float[Array, "batch ..."], shape: tuple[int, int, int]) -> Float[Array, "batch ..."]:
        """What the recognition model passes on, at half the resolution: pooled values, else the window's units."""
        if self.pooled:
            return jnp.sum(self.windows(latent, shape), axis=-1)
        tiles = split_windows(latent.reshape(-1, *shape), WINDOW)
        return tiles.reshape(*tiles.shape[:3], -1)

    def exchanged(self, values_of: Float[Array, "..."], masks_of: Float[Array, "..."]) -> Float[Array, "..."]:
        """The pooled values of one latent where the masks of another say: what, and where.

        Raises:
          ValueError: a gate has no value where it is closed, so that only pooled values can go elsewhere.
        """
        if not self.pooled:
            raise ValueError("values and masks can be exchanged where they are pooled; found a latent without windows")
        return jnp.where(masks_of != 0, jnp.sum(values_of, axis=-1, keepdims=True), 0.0)

    def windows(
        self, latent: Float[Array, "batch ..."], shape: tuple[int, int, int]
    ) -> Float[Array, "batch rows columns channels positions"]:
        """A latent, or a mask, by row and column."""
        return latent.reshape(-1, shape[0] // WINDOW[0], shape[1] // WINDOW[1], shape[2], POSITIONS)


# model.families; none is a level without a latent.
FAMILIES = {
    "gaussian": LevelFamily(None),
    "ctc_pool": LevelFamily(CATEGORICAL, pooled=True),
    "ctc_relu": LevelFamily(BERNOULLI),
    "none": None,
}
