"""Radial flow (Rezende and Mohamed 2015, arXiv:1505.05770, equation 14). Tests: tests/posteriors/test_flows.py."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.options import Options, option
from ctc_jax.posteriors.flow import SMALL, NormalizingFlow, Step
from ctc_jax.posteriors.planar import ONE


class RadialStep(Step):
    """z -> z + b (z - c) / (a + |z - c|): away from a center or towards it; a, b and c depend on the context."""

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch latents"], context: Float[Array, "batch context"]
    ) -> tuple[Float[Array, "batch latents"], Float[Array, " batch"]]:
        """Invertible since b > -a, by a softplus that is 0 at the start."""
        latents = latent.shape[-1]
        center = nn.Dense(latents, name="center")(context)
        shape = nn.Dense(2, kernel_init=SMALL, name="shape")(context)
        reach = nn.softplus(shape[:, 0] + ONE)
        push = reach * (nn.softplus(shape[:, 1] + ONE) - 1.0)
        away = latent - center
        # The gradient of a norm does not exist at 0; what is added is far below rounding elsewhere.
        radius = jnp.sqrt(jnp.sum(away**2, axis=-1) + 1e-20)
        near = 1.0 / (reach + radius)
        tangential, radial = push * near, push * reach * near**2
        log_determinant = (latents - 1) * jnp.log1p(tangential) + jnp.log1p(radial)
        return latent + tangential[:, None] * away, log_determinant


@dataclass(frozen=True)
class RadialOptions(Options):
    """Of the radial flow."""

    steps: int = option(10, "centers", at_least=1)
    context: int = option(64, "features of the image that every step sees", at_least=1)

    def build(self, *, latents: int) -> NormalizingFlow:
        """The module for codes of that size."""
        return NormalizingFlow(latents, tuple(RadialStep() for _ in range(self.steps)), self.context)
