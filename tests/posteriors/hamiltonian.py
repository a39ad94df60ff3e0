"""A posterior that needs the model's joint density, for tests of the contract alone."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from ctc_jax.posteriors import AbstractPosterior, PosteriorDraw
from ctc_jax.posteriors.diagonal import DiagonalGaussian


class Leapfrog(AbstractPosterior):
    """Two leapfrog steps from a diagonal Gaussian's sample (Caterini et al. 2018), the momentum as auxiliary v."""

    needs_log_joint = True

    def setup(self):
        self.start = DiagonalGaussian(self.latents)
        self.log_step = self.param("log_step", nn.initializers.constant(-2.5), ())

    def __call__(self, key, hidden, prior, log_joint=None):
        key_start, key_momentum = jax.random.split(key)
        latent, log_q, _ = self.start(key_start, hidden, prior)
        momentum = jax.random.normal(key_momentum, latent.shape)
        law = dist.Normal().expand(latent.shape).to_event(1)
        step, force = jnp.exp(self.log_step), jax.grad(lambda latent: log_joint(latent).sum())
        log_q += law.log_prob(momentum)
        for _ in range(2):
            momentum += step / 2 * force(latent)
            latent += step * momentum
            momentum += step / 2 * force(latent)
        return PosteriorDraw(latent, log_q - law.log_prob(momentum), None)

    def center(self, hidden):
        return self.start.center(hidden) + 0.0 * self.log_step
