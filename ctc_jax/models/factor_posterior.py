"""The recognition family of factors that enter linearly. Tests: tests/models/test_factor_posterior.py."""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Key
from numpyro.distributions import Distribution

from ctc_jax.posteriors import PosteriorDraw


@dataclass(frozen=True)
class FactorPosterior:
    """N(hidden, (C C^T)^-1): a Gaussian that is known from image and prior, and has no parameters.

    Attributes:
      cholesky: C, lower triangular.
    """

    cholesky: Float[Array, "batch rank rank"]
    needs_log_joint: ClassVar[bool] = False

    def __call__(
        self,
        key: Key[Array, ""],
        hidden: Float[Array, "batch rank"],
        prior: Distribution | None,
        log_joint: None = None,
    ) -> PosteriorDraw:
        """A draw, and its exact KL from a prior that is N(0, I)."""
        del prior, log_joint
        noise = jax.random.normal(key, hidden.shape)
        latent = hidden + solve_triangular(self.cholesky, noise[..., None], trans=1, lower=True)[..., 0]
        identity = jnp.broadcast_to(jnp.eye(hidden.shape[-1]), self.cholesky.shape)
        root = solve_triangular(self.cholesky, identity, lower=True)
        kl = 0.5 * (jnp.sum(root**2, axis=(-2, -1)) + jnp.sum(hidden**2 - 1.0, axis=-1)) + self._log_determinant
        return PosteriorDraw(latent, self._log_density(noise), kl)

    def log_prob(
        self, hidden: Float[Array, "batch rank"], latent: Float[Array, "batch rank"]
    ) -> Float[Array, " batch"]:
        """Of any factors, nats."""
        return self._log_density(jnp.einsum("brs,br->bs", self.cholesky, latent - hidden))

    def center(self, hidden: Float[Array, "batch rank"]) -> Float[Array, "batch rank"]:
        """The mean."""
        return hidden

    @property
    def _log_determinant(self) -> Float[Array, " batch"]:
        """Of C."""
        return jnp.sum(jnp.log(jnp.diagonal(self.cholesky, axis1=-2, axis2=-1)), axis=-1)

    def _log_density(self, noise: Float[Array, "batch rank"]) -> Float[Array, " batch"]:
        """Of the factors that come of a standard normal draw."""
        return self._log_determinant - 0.5 * jnp.sum(noise**2 + math.log(2.0 * math.pi), axis=-1)
