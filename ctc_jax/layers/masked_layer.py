"""What masks the units of a feature map: the contract of stochastic layers. Tests: test_masked_layers.py."""

import abc
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions import MaskKind
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.layers.units import Units

# Height, width, channels of the units.
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class MaskedLayer(abc.ABC):
    """A latent on a feature map: the same units whatever the layer, which says what masks them.

    A latent of it has its masks in one axis, rows first and channels last: `[batch, masks]` of gates or of unmasked
    units, `[batch, masks, categories]` of one-hot masks.
    """

    kind: ClassVar[MaskKind | None]

    @abc.abstractmethod
    def arrange(self, units: Float[Array, "batch height width channels"]) -> Float[Array, "batch ..."]:
        """Units in the order of the latent."""

    @abc.abstractmethod
    def restore(self, latent: Float[Array, "batch ..."], shape: Shape) -> Float[Array, "batch height width channels"]:
        """The inverse of `arrange`."""

    @abc.abstractmethod
    def grid(self, shape: Shape) -> Shape:
        """Rows, columns and channels of the masks."""

    def distribution(self, units: Units) -> MaskedDistribution:
        """Masks and values over units `[batch, height, width, channels]`."""
        return units.arranged(self.arrange).distribution(self.kind)

    def feature_map(self, latent: Masked, shape: Shape) -> Float[Array, "batch height width channels"]:
        """m * s on the feature map of the units, 0 where masked: pooled values go back where their masks say."""
        return self.restore(latent.product, shape)

    def passed_on(self, latent: Masked, shape: Shape) -> Float[Array, "batch rows columns features"]:
        """What a recognition model that goes up through its draws hands to the level above, at half the resolution."""
        units = self.feature_map(latent, shape)
        batch, height, width, channels = units.shape
        tiles = units.reshape(batch, height // 2, 2, width // 2, 2, channels)
        return tiles.transpose(0, 1, 3, 5, 2, 4).reshape(batch, height // 2, width // 2, channels * 4)

    def mask_shape(self, shape: Shape) -> tuple[int, ...]:
        """Shape of one example's mask."""
        like = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        return jax.eval_shape(self.arrange, like).shape[1:]


@dataclass(frozen=True)
class Unmasked(MaskedLayer):
    """Every unit is on: a Gaussian level."""

    kind: ClassVar[MaskKind | None] = None

    def arrange(self, units: Float[Array, "batch height width channels"]) -> Float[Array, "batch units"]:
        """Units in one axis."""
        return units.reshape(len(units), -1)

    def restore(self, latent: Float[Array, "batch units"], shape: Shape) -> Float[Array, "batch height width channels"]:
        """The inverse of `arrange`."""
        return latent.reshape(-1, *shape)

    def grid(self, shape: Shape) -> Shape:
        """One place for each unit."""
        return shape
