"""Uncorrected Hamiltonian annealing (Geffner and Domke 2021, arXiv:2107.04150; Zhang et al. 2021, arXiv:2107.10211).

Tests: tests/posteriors/test_annealed_hamiltonian.py.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.options import Options, option
from ctc_jax.posteriors.diagonal import DiagonalGaussian
from ctc_jax.posteriors.leapfrog import UNROLL, Density, Points, force_of, leapfrog
from ctc_jax.posteriors.path import PathPosterior


class AnnealedHamiltonian(PathPosterior):
    """A sample of the diagonal Gaussian, moved through densities between it and p(x, z), none of them corrected.

    At bridge k the momentum is refreshed in part, which leaves N(0, I) as it is, and a leapfrog step is taken on
    (1 - b_k) log q(z | x) + b_k log p(x, z). The steps preserve volume and the refreshment is reversible, so that what
    the bridges add to log q is known without a reverse model:

        log_q = log q(z_0 | x) - sum_k [ log N(v_k after the step) - log N(v_k refreshed) ]

    Attributes:
      bridges: how many; none is the diagonal Gaussian.
      step_size: where learning starts, for each latent alike; it is learned for each, and with it a slope in b.
      damping: share of the momentum that stays, where learning starts.
      unroll: whether each bridge is compiled on its own.
    """

    bridges: int = 4
    step_size: float = 0.05
    damping: float = 0.5
    unroll: bool = True

    def setup(self) -> None:
        """Names the layers and parameters."""
        self.start = DiagonalGaussian(self.latents, gain=self.gain)
        size = nn.initializers.constant(jnp.log(self.step_size))
        self.log_step = self.param("log_step", size, (self.latents,))
        self.slope = self.param("slope", nn.initializers.zeros, ())
        kept = jnp.log(self.damping / (1.0 - self.damping))
        self.damped = self.param("damped", nn.initializers.constant(kept), ())
        self.increments = self.param("increments", nn.initializers.zeros, (self.bridges + 1,))

    def moved(
        self,
        key: Key[Array, ""],
        latent: Points,
        hidden: Float[Array, "batch features"],
        log_first: Density,
        log_joint: Density,
    ) -> tuple[Points, Float[Array, "batch latents"]]:
        """Each step takes off what log N(v | 0, I) gains by it."""
        del hidden
        noise = jax.random.normal(key, (self.bridges + 1, *latent.shape))
        kept, standard = nn.sigmoid(self.damped), dist.Normal()
        # Of one increment more than there are bridges: the last density is not yet p(x, z).
        inverse_temperatures = jnp.cumsum(nn.softmax(self.increments))[:-1]
        force_of_first, force_of_last = force_of(log_first), force_of(log_joint)

        def move(carry, of_bridge):
            latent, momentum = carry
            beta, fresh = of_bridge

            def force_at(latent: Float[Array, "batch latents"]) -> Float[Array, "batch latents"]:
                return (1.0 - beta) * force_of_first(latent) + beta * force_of_last(latent)

            refreshed = kept * momentum + jnp.sqrt(1.0 - kept**2) * fresh
            step = jnp.exp(self.log_step + self.slope * beta)[None]
            latent, momentum, _ = leapfrog(force_at, latent, refreshed, force_at(latent), step)
            return (latent, momentum), standard.log_prob(momentum) - standard.log_prob(refreshed)

        bridges = (inverse_temperatures, noise[1:])
        (latent, _), gains = jax.lax.scan(move, (latent, noise[0]), bridges, unroll=self.unroll)
        return latent, -gains.sum(axis=0)


@dataclass(frozen=True)
class AnnealedHamiltonianOptions(Options):
    """Of uncorrected Hamiltonian annealing."""

    bridges: int = option(8, "densities between q and p(x, z), each a leapfrog step", at_least=1)
    step_size: float = option(0.05, "where learning starts", above=0)
    damping: float = option(0.5, "share of the momentum kept at a bridge, where learning starts", above=0, below=1)
    unroll: bool = option(True, UNROLL)

    def build(self, *, latents: int) -> AnnealedHamiltonian:
        """The module for codes of that size."""
        return AnnealedHamiltonian(latents, self.bridges, self.step_size, self.damping, self.unroll)
