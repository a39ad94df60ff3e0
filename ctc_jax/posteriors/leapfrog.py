"""Leapfrog steps of Hamiltonian dynamics: volume preserving, reversible. Tests: tests/posteriors/test_leapfrog.py."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Points = Float[Array, "batch latents"]
Density = Callable[[Points], Float[Array, " batch"]]
# Of the option that both Hamiltonian families have.
UNROLL = "whether each step is compiled on its own: as convolutions on CPUs need; many steps of dense layers do without"

Force = Callable[[Points], Points]


def force_of(log_density: Density) -> Force:
    """The gradient of a log density in each row, which must not depend on another row; per unit of the latent, nats."""
    return jax.grad(lambda latent: jnp.sum(log_density(latent)))


def leapfrog(
    force_at: Force, latent: Points, momentum: Points, force: Points, step: Float[Array, "#batch #latents"]
) -> tuple[Points, Points, Points]:
    """Half a step of the momentum, a step of the latent, half a step of the momentum; the mass is 1.

    Args:
      force_at: the force at a position.
      latent: positions.
      momentum: of them.
      force: at them, which the step before ended with.
      step: sizes, for each row or latent or for all.

    Returns:
      Positions and momenta after the step, and the force there.
    """
    half = momentum + 0.5 * step * force
    latent = latent + step * half
    force = force_at(latent)
    return latent, half + 0.5 * step * force, force
