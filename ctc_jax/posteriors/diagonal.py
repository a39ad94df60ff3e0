"""Diagonal Gaussian recognition family. Tests: tests/posteriors/test_diagonal.py."""

import flax.linen as nn
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float


class DiagonalGaussian(nn.Module):
    """q(z|x) = N(z; loc, diag(scale^2)), both linear in the hidden features (scale through exp).

    Attributes:
      latents: size of z.
    """

    latents: int

    @nn.compact
    def __call__(self, hidden: Float[Array, "batch features"]) -> dist.Distribution:
        """Returns a distribution with batch shape [batch] and event shape [latents], in float32."""
        hidden = hidden.astype(jnp.float32)
        # Widths start at the prior's. Locations start at full gain: near the prior a code says nothing about its image,
        # the decoder learns to ignore it, and the KL takes thousands of steps to leave zero.
        loc = nn.Dense(self.latents, name="loc")(hidden)
        small = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
        log_scale = nn.Dense(self.latents, kernel_init=small, name="log_scale")(hidden)
        # exp(-8) of the prior's width is 11 bits a latent beyond any use; above exp(4) only an exploding run goes.
        return dist.Normal(loc, jnp.exp(jnp.clip(log_scale, -8.0, 4.0))).to_event(1)
