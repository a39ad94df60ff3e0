"""Diagonal Gaussian recognition family. Tests: tests/posteriors/test_diagonal.py."""

from collections.abc import Callable
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from ctc_jax.options import Options
from ctc_jax.posteriors.posterior import AbstractPosterior, LogJoint, PosteriorDraw


class DiagonalGaussian(AbstractPosterior):
    """q(z|x) = N(z; loc, diag(scale^2)), both linear in the hidden features (scale through exp)."""

    @nn.compact
    def distribution(self, hidden: Float[Array, "batch features"]) -> dist.Independent:
        """Batch shape [batch] and event shape [latents], in float32."""
        moments = nn.Dense(2 * self.latents, kernel_init=_start(self.gain))(hidden.astype(jnp.float32))
        loc, log_scale = jnp.split(moments, 2, axis=-1)
        # exp(-8) of the prior's width is 11 bits a latent beyond any use; above exp(4) only an exploding run goes.
        return dist.Normal(loc, jnp.exp(jnp.clip(log_scale, -8.0, 4.0))).to_event(1)

    def __call__(
        self,
        key: Key[Array, ""],
        hidden: Float[Array, "batch features"],
        prior: dist.Distribution,
        log_joint: LogJoint | None = None,
    ) -> PosteriorDraw:
        """The KL is exact where the prior is a diagonal Gaussian too."""
        del log_joint
        posterior = self.distribution(hidden)
        latent = posterior.sample(key)
        kl = None if gaussian_moments(prior) is None else dist.kl_divergence(posterior, prior)
        return PosteriorDraw(latent, posterior.log_prob(latent), kl)

    def log_prob(
        self, hidden: Float[Array, "batch features"], latent: Float[Array, "batch latents"]
    ) -> Float[Array, " batch"]:
        """Of any latent, nats."""
        return self.distribution(hidden).log_prob(latent)

    def center(self, hidden: Float[Array, "batch features"]) -> Float[Array, "batch latents"]:
        """The mean; half of the kernel's columns are the scale's, so that it touches all parameters there are."""
        return self.distribution(hidden).mean


@dataclass(frozen=True)
class DiagonalOptions(Options):
    """A Gaussian with diagonal covariance; nothing to choose."""

    def build(self, *, latents: int) -> DiagonalGaussian:
        """The module for codes of that size."""
        return DiagonalGaussian(latents)


def gaussian_moments(prior: dist.Distribution) -> tuple[jax.Array, jax.Array] | None:
    """Location and scale, each `[batch, latents]`, of a diagonal Gaussian; None of any other distribution."""
    if isinstance(prior, dist.Independent) and isinstance(prior.base_dist, dist.Normal):
        shape = prior.base_dist.batch_shape
        return jnp.broadcast_to(prior.base_dist.loc, shape), jnp.broadcast_to(prior.base_dist.scale, shape)
    return None


def _start(gain: float) -> Callable[..., Float[Array, "features moments"]]:
    # Widths start at the prior's. Locations of a code start at full gain: near the prior it says nothing about its
    # image, the decoder learns to ignore it, and the KL takes thousands of steps to leave zero.
    of_loc, of_scale = (nn.initializers.variance_scaling(of, "fan_in", "truncated_normal") for of in (gain**2, 0.01))

    def start(key: Key[Array, ""], shape: tuple[int, int], dtype: DTypeLike) -> Float[Array, "features moments"]:
        key_loc, key_scale = jax.random.split(key)
        half = (shape[0], shape[1] // 2)
        return jnp.concatenate([of_loc(key_loc, half, dtype), of_scale(key_scale, half, dtype)], axis=1)

    return start
