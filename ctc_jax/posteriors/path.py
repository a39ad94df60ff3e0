"""Families that move a draw on log p(x, z), and know what this does to log q. Tests: test_weights.py."""

from typing import ClassVar

import jax
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.posteriors.leapfrog import Density, Points
from ctc_jax.posteriors.posterior import AbstractPosterior, LogJoint, PosteriorDraw


class PathPosterior(AbstractPosterior):
    """A sample of the diagonal Gaussian, moved; `moved` moves any other start as well, of several latents in one row.

    A subclass has that Gaussian as `start`.
    """

    needs_log_joint: ClassVar[bool] = True

    def __call__(
        self,
        key: Key[Array, ""],
        hidden: Float[Array, "batch features"],
        prior: dist.Distribution,
        log_joint: LogJoint | None = None,
    ) -> PosteriorDraw:
        """`log_q` is that of the whole path less that of the reversed one, whose weights have the mean p(x)."""
        key_latent, key_momentum = jax.random.split(key)
        first = self.start.distribution(hidden)
        latent = first.sample(key_latent)
        moved, gained = self.moved(key_momentum, latent, hidden, first.log_prob, log_joint)
        return PosteriorDraw(moved, first.log_prob(latent) + gained.sum(axis=-1), None)

    def moved(
        self,
        key: Key[Array, ""],
        latent: Points,
        hidden: Float[Array, "batch features"],
        log_first: Density,
        log_joint: Density,
    ) -> tuple[Points, Float[Array, "batch latents"]]:
        """Where a start moves to, and what the path adds to log q, nats, as a sum over latents.

        Args:
          key: of momenta.
          latent: the start, a draw of `log_first`.
          hidden: features of the images.
          log_first: log density of the start.
          log_joint: log p(x, z).
        """
        raise NotImplementedError

    def meet(self, latent: Points, hidden: Float[Array, "batch features"]) -> None:
        """Touches every parameter but those of `start`."""

    def center(self, hidden: Float[Array, "batch features"]) -> Float[Array, "batch latents"]:
        """The mean of the Gaussian where paths begin."""
        latent = self.start.center(hidden)
        self.meet(latent, hidden)
        return latent
