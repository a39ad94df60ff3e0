"""Normalizing flows as recognition families (Rezende and Mohamed 2015, arXiv:1505.05770).

Tests: tests/posteriors/test_flows.py.
"""

from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from numpyro.distributions import Distribution

from ctc_jax.posteriors.diagonal import DiagonalGaussian
from ctc_jax.posteriors.posterior import AbstractPosterior, LogJoint, PosteriorDraw

# The kernel of a layer that says how far a step is from the identity: at the start hardly.
SMALL = nn.initializers.variance_scaling(0.01, "fan_in", "normal")


class Step(nn.Module):
    """An invertible map of latents that depends on features of the image.

    Attributes:
      inverted: whether it takes `back=True`, which undoes it, at the cost of one pass.
    """

    inverted: ClassVar[bool] = False

    def __call__(
        self, latent: Float[Array, "batch latents"], context: Float[Array, "batch context"]
    ) -> tuple[Float[Array, "batch latents"], Float[Array, " batch"]]:
        """The moved latents, and the logarithm of the Jacobian's absolute determinant, nats."""
        raise NotImplementedError


class NormalizingFlow(AbstractPosterior):
    """A sample of the diagonal Gaussian, moved by steps one after another.

    Attributes:
      moves: the steps.
      context: features of the image that every step sees, linear in the encoder's.
    """

    moves: tuple[Step, ...] = ()
    context: int = 64

    def setup(self) -> None:
        """Names the layers."""
        self.start = DiagonalGaussian(self.latents, gain=self.gain)
        self.contexts = nn.Dense(self.context)

    def __call__(
        self,
        key: Key[Array, ""],
        hidden: Float[Array, "batch features"],
        prior: Distribution,
        log_joint: LogJoint | None = None,
    ) -> PosteriorDraw:
        """log q falls by the log-determinant of each step; the KL has no closed form."""
        del log_joint
        latent, log_q, _ = self.start(key, hidden, prior)
        latent, log_determinant = self.flow(latent, hidden)
        return PosteriorDraw(latent, log_q - log_determinant, None)

    def log_prob(
        self, hidden: Float[Array, "batch features"], latent: Float[Array, "batch latents"]
    ) -> Float[Array, " batch"]:
        """Of any latent, nats, where each step can be undone."""
        if not self.scored:
            return super().log_prob(hidden, latent)
        context, log_determinant = self.contexts(hidden.astype(jnp.float32)), jnp.zeros(len(latent))
        for move in reversed(self.moves):
            latent, of_step = move(latent, context, back=True)  # type: ignore[call-arg]
            log_determinant += of_step
        return self.start.log_prob(hidden, latent) - log_determinant

    @property
    def scored(self) -> bool:
        """Whether each step can be undone."""
        return all(move.inverted for move in self.moves)

    def center(self, hidden: Float[Array, "batch features"]) -> Float[Array, "batch latents"]:
        """Where the flow takes the mean of the Gaussian."""
        return self.flow(self.start.center(hidden), hidden)[0]

    def flow(
        self, latent: Float[Array, "batch latents"], hidden: Float[Array, "batch features"]
    ) -> tuple[Float[Array, "batch latents"], Float[Array, " batch"]]:
        """All steps, and the log-determinant of their Jacobian, nats."""
        context = self.contexts(hidden.astype(jnp.float32))
        log_determinant: Any = jnp.zeros(len(latent))
        for move in self.moves:
            latent, of_step = move(latent, context)
            log_determinant += of_step
        return latent, log_determinant
