"""A recognition family at every position of a feature map. Tests: tests/models/test_position_posterior.py."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.layers import depth_to_space, space_to_depth
from ctc_jax.posteriors import AbstractPosterior, PosteriorDraw


@dataclass(frozen=True)
class PositionPosterior:
    """z = loc + scale * u, where a family draws u of all units at a position, each position on its own.

    In u the Gaussian around which z is drawn is N(0, I): how narrow it is does not enter the KL.

    Attributes:
      family: for the units of one position, with its parameters.
      around: the Gaussian of the units `[batch, units]`, rows first and channels last: the prior, where it is known.
      shape: height, width and channels of the units.
      patch: units of each channel on a side of one position of the features.
    """

    family: AbstractPosterior
    around: dist.Normal
    shape: tuple[int, int, int]
    patch: int
    needs_log_joint: ClassVar[bool] = False

    def __call__(
        self,
        key: Key[Array, ""],
        hidden: Float[Array, "batch rows columns features"],
        prior: dist.Distribution | None,
        log_joint: None = None,
    ) -> PosteriorDraw:
        """Units `[batch, units]` of all positions, and the sums of log q and of the KL over them.

        Args:
          key: of the draw.
          hidden: features of each position.
          prior: `around`, or None where the prior is not known before the draw, and no KL is.
          log_joint: of no use.
        """
        loc, scale = self._rows(self.around.loc), self._rows(self.around.scale)
        standard = dist.Normal(jnp.zeros_like(loc), jnp.ones_like(loc)).to_event(1)
        drawn = self.family(key, hidden.reshape(-1, hidden.shape[-1]), standard)
        log_q = self._of_image(drawn.log_q - jnp.sum(jnp.log(scale), axis=-1))
        kl = None if prior is None or drawn.kl is None else self._of_image(drawn.kl)
        return PosteriorDraw(self._units(loc + scale * drawn.latent), log_q, kl)

    def log_prob(
        self, hidden: Float[Array, "batch rows columns features"], latent: Float[Array, "batch units"]
    ) -> Float[Array, " batch"]:
        """log q of any units, where the family has that."""
        loc, scale = self._rows(self.around.loc), self._rows(self.around.scale)
        of_family = self.family.log_prob(hidden.reshape(-1, hidden.shape[-1]), (self._rows(latent) - loc) / scale)
        return self._of_image(of_family - jnp.sum(jnp.log(scale), axis=-1))

    def center(self, hidden: Float[Array, "batch rows columns features"]) -> Float[Array, "batch units"]:
        """The family's, at each position."""
        center = self.family.center(hidden.reshape(-1, hidden.shape[-1]))
        return self._units(self._rows(self.around.loc) + self._rows(self.around.scale) * center)

    def _of_image(self, of_positions: Float[Array, " positions"]) -> Float[Array, " batch"]:
        return of_positions.reshape(len(self.around.loc), -1).sum(axis=-1)

    def _rows(self, units: Float[Array, "batch units"]) -> Float[Array, "positions latents"]:
        on_map = space_to_depth(units.reshape(-1, *self.shape), self.patch)
        return on_map.reshape(-1, on_map.shape[-1])

    def _units(self, rows: Float[Array, "positions latents"]) -> Float[Array, "batch units"]:
        height, width, _ = self.shape
        on_map = rows.reshape(-1, height // self.patch, width // self.patch, rows.shape[-1])
        return depth_to_space(on_map, self.patch).reshape(len(on_map), -1)
