"""Hamiltonian variational inference (Salimans et al. 2015, arXiv:1410.6460; tempered, Caterini et al. 2018,
arXiv:1805.11328). Tests: tests/posteriors/test_hamiltonian.py."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.options import Options, option
from ctc_jax.posteriors.diagonal import DiagonalGaussian
from ctc_jax.posteriors.flow import SMALL
from ctc_jax.posteriors.leapfrog import UNROLL, Density, Points, force_of, leapfrog
from ctc_jax.posteriors.path import PathPosterior


class ReverseModel(nn.Module):
    """r(v | x, z): a Gaussian of the momentum that the dynamics end with; the standard one at the start.

    Attributes:
      width: units of its hidden layer.
    """

    width: int

    @nn.compact
    def __call__(
        self, latent: Float[Array, "batch latents"], hidden: Float[Array, "batch features"]
    ) -> dist.Independent:
        """Batch shape [batch] and event shape [latents]."""
        seen = nn.silu(nn.Dense(self.width)(jnp.concatenate([latent, hidden], axis=-1)))
        loc, log_scale = jnp.split(nn.Dense(2 * latent.shape[-1], kernel_init=SMALL)(seen), 2, axis=-1)
        return dist.Normal(loc, jnp.exp(jnp.clip(log_scale, -4.0, 4.0))).to_event(1)


class Hamiltonian(PathPosterior):
    """A sample of the diagonal Gaussian, moved by leapfrog steps on log p(x, z) with a momentum drawn from N(0, I).

    The dynamics preserve volume: log q(z, v | x) is that of where they began; a learned r(v | x, z) is taken off it.
    With `tempering` the momentum begins 1 / sqrt(b) times as large, b learned, and shrinks from step to step until its
    temperature is 1; the determinant of the shrinking and the density of the larger momentum cancel.

    Attributes:
      steps: leapfrog steps.
      step_size: where learning starts, for each latent and step alike.
      width: of the reverse model.
      tempering: whether momenta are tempered.
      unroll: whether each step is compiled on its own.
    """

    steps: int = 4
    step_size: float = 0.05
    width: int = 64
    tempering: bool = False
    unroll: bool = True

    def setup(self) -> None:
        """Names the layers."""
        self.start = DiagonalGaussian(self.latents, gain=self.gain)
        self.reverse = ReverseModel(self.width)
        size = nn.initializers.constant(jnp.log(self.step_size))
        self.log_steps = self.param("log_steps", size, (self.steps, self.latents))
        if self.tempering:
            # sigmoid(1) = 0.73 of the precision.
            self.coldness = self.param("coldness", nn.initializers.constant(1.0), ())

    def moved(
        self,
        key: Key[Array, ""],
        latent: Points,
        hidden: Float[Array, "batch features"],
        log_first: Density,
        log_joint: Density,
    ) -> tuple[Points, Float[Array, "batch latents"]]:
        """The path adds log N(v | 0, I) at its start, less log r(v | x, z) at its end."""
        del log_first
        drawn = jax.random.normal(key, latent.shape)
        warmth, force_at = self.warmth(), force_of(log_joint)

        def move(carry, of_step):
            size, cooled = of_step
            latent, momentum, force = leapfrog(force_at, *carry, jnp.exp(size)[None])
            return (latent, cooled * momentum, force), None

        start = (latent, warmth[0] * drawn, force_at(latent))
        moves = (self.log_steps, warmth[1:] / warmth[:-1])
        (latent, momentum, _), _ = jax.lax.scan(move, start, moves, unroll=self.unroll)
        reverse = self.reverse(latent, hidden.astype(jnp.float32)).base_dist
        return latent, dist.Normal().log_prob(drawn) - reverse.log_prob(momentum)

    def warmth(self) -> Float[Array, " times"]:
        """What momenta are larger by before each step and after the last: 1 / sqrt(b), falling with the square of the
        step to 1."""
        if not self.tempering:
            return jnp.ones(self.steps + 1)
        first = jax.lax.rsqrt(nn.sigmoid(self.coldness))
        return first + (1.0 - first) * (jnp.arange(self.steps + 1) / self.steps) ** 2

    def meet(self, latent: Points, hidden: Float[Array, "batch features"]) -> None:
        """The reverse model's."""
        self.reverse(latent, hidden.astype(jnp.float32))


@dataclass(frozen=True)
class HamiltonianOptions(Options):
    """Of Hamiltonian variational inference."""

    steps: int = option(4, "leapfrog steps, each a gradient of log p(x, z) or two", at_least=1)
    step_size: float = option(0.05, "where learning starts", above=0)
    width: int = option(64, "units of the hidden layer of the reverse model r(v | x, z)", at_least=1)
    tempering: bool = option(False, "whether momenta begin larger and shrink")
    unroll: bool = option(True, UNROLL)

    def build(self, *, latents: int) -> Hamiltonian:
        """The module for codes of that size."""
        return Hamiltonian(latents, self.steps, self.step_size, self.width, self.tempering, self.unroll)
