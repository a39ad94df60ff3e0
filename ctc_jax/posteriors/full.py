"""Gaussian recognition family with full covariance. Tests: tests/posteriors/test_full.py."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.options import Options
from ctc_jax.posteriors.diagonal import DiagonalGaussian, gaussian_moments
from ctc_jax.posteriors.flow import SMALL
from ctc_jax.posteriors.posterior import AbstractPosterior, LogJoint, PosteriorDraw


class FullGaussian(AbstractPosterior):
    """q(z|x) = N(loc, L L^T), L = diag(scale) (I + T) with T strictly lower triangular and linear in the features."""

    def setup(self) -> None:
        """Names the layers."""
        self.start = DiagonalGaussian(self.latents, gain=self.gain)
        # A single latent has none; a layer without outputs has no start that scales with its size.
        self.below = nn.Dense(self.latents * (self.latents - 1) // 2, kernel_init=SMALL) if self.latents > 1 else None

    def distribution(self, hidden: Float[Array, "batch features"]) -> dist.MultivariateNormal:
        """Batch shape [batch] and event shape [latents], in float32."""
        gaussian = self.start.distribution(hidden).base_dist
        unit = jnp.broadcast_to(jnp.eye(self.latents), (len(hidden), self.latents, self.latents))
        if self.below is not None:
            rows, columns = jnp.tril_indices(self.latents, -1)
            unit = unit.at[:, rows, columns].set(self.below(hidden.astype(jnp.float32)))
        return dist.MultivariateNormal(gaussian.loc, scale_tril=gaussian.scale[:, :, None] * unit)

    def __call__(
        self,
        key: Key[Array, ""],
        hidden: Float[Array, "batch features"],
        prior: dist.Distribution,
        log_joint: LogJoint | None = None,
    ) -> PosteriorDraw:
        """The KL is exact where the prior is a diagonal Gaussian."""
        del log_joint
        posterior = self.distribution(hidden)
        noise = jax.random.normal(key, posterior.loc.shape)
        latent = posterior.loc + jnp.einsum("bij,bj->bi", posterior.scale_tril, noise)
        log_scales = jnp.log(jnp.diagonal(posterior.scale_tril, axis1=-2, axis2=-1)).sum(axis=-1)
        log_q = dist.Normal().log_prob(noise).sum(axis=-1) - log_scales
        moments = gaussian_moments(prior)
        if moments is None:
            return PosteriorDraw(latent, log_q, None)
        loc, scale = moments
        spread = jnp.sum((posterior.scale_tril / scale[:, :, None]) ** 2, axis=(-2, -1))
        distance = jnp.sum(((posterior.loc - loc) / scale) ** 2, axis=-1)
        kl = 0.5 * (spread + distance - self.latents) + jnp.log(scale).sum(axis=-1) - log_scales
        return PosteriorDraw(latent, log_q, kl)

    def log_prob(
        self, hidden: Float[Array, "batch features"], latent: Float[Array, "batch latents"]
    ) -> Float[Array, " batch"]:
        """Of any latent, nats."""
        return self.distribution(hidden).log_prob(latent)

    def center(self, hidden: Float[Array, "batch features"]) -> Float[Array, "batch latents"]:
        """The mean; the covariance is computed too, so that initialization meets its layer."""
        return self.distribution(hidden).loc


@dataclass(frozen=True)
class FullOptions(Options):
    """A Gaussian with full covariance; nothing to choose."""

    def build(self, *, latents: int) -> FullGaussian:
        """The module for codes of that size."""
        return FullGaussian(latents)
