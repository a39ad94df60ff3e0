"""Semi-amortized variational inference (Kim et al. 2018, arXiv:1802.02550).

Tests: tests/posteriors/test_semi_amortized.py.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.options import Options, option
from ctc_jax.posteriors.diagonal import DiagonalGaussian, gaussian_moments
from ctc_jax.posteriors.leapfrog import UNROLL
from ctc_jax.posteriors.posterior import AbstractPosterior, LogJoint, PosteriorDraw


class SemiAmortized(AbstractPosterior):
    """The diagonal Gaussian, whose mean and log scale climb the ELBO of their image from where the encoder puts them.

    A step goes along the natural gradient, that of the mean times sigma^2 and that of log sigma times 1/2: it does not
    depend on the unit of a latent, and at a Gaussian posterior of that shape a step of size 1 ends at its mean. The
    expectation is the mean of log p(x, z) over pairs of points one scale off the mean, in every latent to one side and
    then to the other; which sides is drawn once and for all, for each step anew, so that q is one Gaussian an image,
    the same for all its samples, and `log_q` its density. Gradients go through all steps, to the encoder and to p.

    Attributes:
      steps: how many; none is the diagonal Gaussian.
      step_size: share of the natural gradient.
      pairs: of points a step.
      unroll: whether each step is compiled on its own.
    """

    steps: int = 4
    step_size: float = 0.1
    pairs: int = 1
    unroll: bool = True
    needs_log_joint: ClassVar[bool] = True

    def setup(self) -> None:
        """Names the layers."""
        self.start = DiagonalGaussian(self.latents)

    def __call__(
        self,
        key: Key[Array, ""],
        hidden: Float[Array, "batch features"],
        prior: dist.Distribution,
        log_joint: LogJoint | None = None,
    ) -> PosteriorDraw:
        """The KL is exact where the prior is a diagonal Gaussian."""
        posterior = self.refined(hidden, log_joint)
        latent = posterior.sample(key)
        kl = None if gaussian_moments(prior) is None else dist.kl_divergence(posterior, prior)
        return PosteriorDraw(latent, posterior.log_prob(latent), kl)

    def refined(self, hidden: Float[Array, "batch features"], log_joint: LogJoint) -> dist.Independent:
        """The Gaussian after all steps, batch shape [batch] and event shape [latents]."""
        first = self.start.distribution(hidden).base_dist
        sides = np.random.default_rng(0).choice([-1.0, 1.0], (self.steps, self.pairs, 1, self.latents))

        def elbo(moments: tuple[Array, Array], sides: Float[Array, "pairs 1 latents"]) -> Float[Array, ""]:
            loc, log_scale = moments
            away = sides * jnp.exp(log_scale)[None]
            points = jnp.concatenate([loc[None] + away, loc[None] - away])
            return jnp.sum(jnp.mean(jax.vmap(log_joint)(points), axis=0)) + jnp.sum(log_scale)

        def climb(moments, sides):
            loc, log_scale = moments
            slope, slope_of_scale = jax.grad(elbo)(moments, sides)
            loc += self.step_size * jnp.exp(2.0 * log_scale) * slope
            # At most a factor of e a step, and within the limits of the diagonal Gaussian.
            change = jnp.clip(0.5 * self.step_size * slope_of_scale, -1.0, 1.0)
            return (loc, jnp.clip(log_scale + change, -8.0, 4.0)), None

        start = (first.loc, jnp.log(first.scale))
        (loc, log_scale), _ = jax.lax.scan(climb, start, jnp.asarray(sides, jnp.float32), unroll=self.unroll)
        return dist.Normal(loc, jnp.exp(log_scale)).to_event(1)

    def center(self, hidden: Float[Array, "batch features"]) -> Float[Array, "batch latents"]:
        """The mean of the Gaussian where the steps begin: without the model there is nothing to climb."""
        return self.start.center(hidden)


@dataclass(frozen=True)
class SemiAmortizedOptions(Options):
    """Of semi-amortized variational inference."""

    steps: int = option(4, "of the encoder's mean and scale up the ELBO", at_least=1)
    step_size: float = option(0.1, "share of the natural gradient, of which 1 is Newton's step", above=0, at_most=1)
    pairs: int = option(1, "pairs of points at which a step evaluates log p(x, z)", at_least=1)
    unroll: bool = option(True, UNROLL)

    def build(self, *, latents: int) -> SemiAmortized:
        """The module for codes of that size."""
        return SemiAmortized(latents, self.steps, self.step_size, self.pairs, self.unroll)
