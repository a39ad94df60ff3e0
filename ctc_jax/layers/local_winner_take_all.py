"""One unit of each block wins, the others are 0. Tests: tests/layers/test_masked_layers.py."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Array, Float

from ctc_jax.distributions import CATEGORICAL, MaskKind
from ctc_jax.layers.masked_layer import MaskedLayer, Shape


@dataclass(frozen=True)
class LocalWinnerTakeAll(MaskedLayer):
    """A categorical mask over blocks of neighboring channels at each position, times their values.

    Tied with deterministic values, its limit as beta goes to infinity is hard LWTA (Srivastava et al. 2013), which
    `math.inf` gives exactly: the largest unit of a block keeps its value, at a tie the first.

    Attributes:
      block: channels that compete.

    Raises:
      ValueError: a block of fewer than 2.
    """

    kind: ClassVar[MaskKind] = CATEGORICAL
    block: int

    def __post_init__(self):
        if self.block < 2:
            raise ValueError(f"block of K = {self.block} units leaves no choice; allowed: 2 or more")

    def arrange(self, units: Float[Array, "batch height width channels"]) -> Float[Array, "batch blocks block"]:
        """The channels of each block last.

        Raises:
          ValueError: blocks do not divide the channels.
        """
        channels = units.shape[-1]
        if channels % self.block:
            raise ValueError(f"blocks of {self.block} do not divide the channels, {channels}; allowed: a divisor")
        return units.reshape(len(units), -1, self.block)

    def restore(
        self, latent: Float[Array, "batch blocks block"], shape: Shape
    ) -> Float[Array, "batch height width channels"]:
        """The inverse of `arrange`."""
        return latent.reshape(-1, *shape)

    def grid(self, shape: Shape) -> Shape:
        """A mask for each block at each position."""
        return *shape[:2], shape[2] // self.block
