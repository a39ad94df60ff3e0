"""A categorical mask over each pooling window of a feature map. Tests: tests/layers/test_masked_layers.py."""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions import CATEGORICAL, MaskKind
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.layers.masked_layer import MaskedLayer, Shape
from ctc_jax.layers.units import Units
from ctc_jax.layers.windows import join_windows, split_windows


@dataclass(frozen=True)
class StochasticMaxPool(MaskedLayer):
    """One position of each window and channel is chosen, and its value passed on; the way down puts it back there.

    Tied with deterministic values, its limit as beta goes to infinity is max pooling, which `math.inf` gives exactly,
    gradient included: at a tie the first position, row by row, is chosen, as the gradient of `nn.max_pool` does. With
    `off` (probabilistic max pooling, Lee et al. 2009) a window may pass on 0; its logit is 0, so that the limit is the
    ReLU of max pooling.

    Attributes:
      window: height and width of a window.
      off: whether a window may be off.

    Raises:
      ValueError: a window that leaves no choice.
    """

    kind: ClassVar[MaskKind] = CATEGORICAL
    window: tuple[int, int] = (2, 2)
    off: bool = False

    def __post_init__(self):
        positions = self.window[0] * self.window[1]
        if min(self.window) < 1 or positions + self.off < 2:
            size = f"{self.window[0]} x {self.window[1]}"
            raise ValueError(f"window {size} leaves no choice (K = {positions}); allowed: 2 positions, or 1 and off")

    def arrange(self, units: Float[Array, "batch height width channels"]) -> Float[Array, "batch windows positions"]:
        """The positions of each window last, row by row.

        Raises:
          ValueError: windows do not tile the feature map.
        """
        windows = split_windows(units, self.window)
        return windows.reshape(len(units), -1, windows.shape[-1])

    def restore(self, latent: Float[Array, "batch ..."], shape: Shape) -> Float[Array, "batch height width channels"]:
        """The inverse of `arrange`."""
        return join_windows(latent.reshape(-1, *self.grid(shape), math.prod(self.window)), self.window)

    def grid(self, shape: Shape) -> Shape:
        """A mask for each window and channel."""
        return shape[0] // self.window[0], shape[1] // self.window[1], shape[2]

    def distribution(self, units: Units) -> MaskedDistribution:
        """Masks over the positions of each window, the off state last."""
        units = units.arranged(self.arrange)
        if self.off:
            # Logits are relative, so a free layer loses nothing; a tied one compares with a value of 0.
            logits = jnp.concatenate([units.logits, jnp.zeros_like(units.logits[..., :1])], axis=-1)
            units = units._replace(logits=logits)
        return units.distribution(self.kind)

    def passed_on(self, latent: Masked, shape: Shape) -> Float[Array, "batch rows columns channels"]:
        """The pooled values."""
        return jnp.sum(latent.product, axis=-1).reshape(-1, *self.grid(shape))

    def mask_shape(self, shape: Shape) -> tuple[int, ...]:
        """Shape of one example's mask, the off state counted."""
        masks, positions = super().mask_shape(shape)
        return masks, positions + self.off
