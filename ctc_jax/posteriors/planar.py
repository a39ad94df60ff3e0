"""Planar flow (Rezende and Mohamed 2015, arXiv:1505.05770, equation 10). Tests: tests/posteriors/test_flows.py."""

import math
from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.options import Options, option
from ctc_jax.posteriors.flow import SMALL, NormalizingFlow, Step

# softplus(ONE) = 1.
ONE = math.log(math.e - 1.0)


class PlanarStep(Step):
    """z -> z + u tanh(w.z + b): pushes away from a plane or towards it; u, w and b depend on the context."""

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch latents"], context: Float[Array, "batch context"]
    ) -> tuple[Float[Array, "batch latents"], Float[Array, " batch"]]:
        """Invertible since u is moved along w until w.u > -1, which leaves u = 0 where it is."""
        latents = latent.shape[-1]
        push = nn.Dense(latents, kernel_init=SMALL, name="push")(context)
        # A plane of some direction from the start: with w = 0 too, no gradient would move either.
        normal = nn.Dense(latents, bias_init=nn.initializers.normal(latents**-0.5), name="normal")(context)
        offset = nn.Dense(1, kernel_init=SMALL, name="offset")(context)[:, 0]
        along = jnp.sum(normal * push, axis=-1)
        square = jnp.sum(normal**2, axis=-1)
        allowed = nn.softplus(along + ONE) - 1.0
        push += ((allowed - along) / jnp.maximum(square, 1e-12))[:, None] * normal
        height = jnp.tanh(jnp.sum(normal * latent, axis=-1) + offset)
        return latent + push * height[:, None], jnp.log1p((1.0 - height**2) * allowed)


@dataclass(frozen=True)
class PlanarOptions(Options):
    """Of the planar flow."""

    steps: int = option(10, "planes", at_least=1)
    context: int = option(64, "features of the image that every step sees", at_least=1)

    def build(self, *, latents: int) -> NormalizingFlow:
        """The module for codes of that size."""
        return NormalizingFlow(latents, tuple(PlanarStep() for _ in range(self.steps)), self.context)
