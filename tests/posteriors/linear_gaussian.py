"""z ~ N(0, I), x ~ N(W z, noise^2 I): evidence and posterior are Gaussians in closed form."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
from scipy import stats


def prior(batch, latents):
    return dist.Normal(jnp.zeros((batch, latents)), jnp.ones((batch, latents))).to_event(1)


class LinearGaussian(NamedTuple):
    weights: np.ndarray
    noise: float
    images: jax.Array

    @classmethod
    def random(cls, weights, noise, batch, seed=0):
        generator = np.random.default_rng(seed)
        latents = generator.normal(size=(batch, weights.shape[1]))
        images = latents @ weights.T + noise * generator.normal(size=(batch, len(weights)))
        return cls(weights.astype(np.float32), noise, jnp.asarray(images, jnp.float32))

    def log_joint(self, latent):
        residual = (self.images - latent @ self.weights.T) / self.noise
        normal = dist.Normal(0.0, 1.0)
        scored = normal.log_prob(residual) - np.log(self.noise)
        return scored.sum(axis=-1) + normal.log_prob(latent).sum(axis=-1)

    @property
    def prior(self):
        return prior(len(self.images), self.weights.shape[1])

    @property
    def log_evidence(self):
        covariance = self.weights @ self.weights.T + self.noise**2 * np.eye(len(self.weights))
        return stats.multivariate_normal.logpdf(self.images, np.zeros(len(self.weights)), covariance)

    @property
    def precision(self):
        """Of the posterior, the same for every image."""
        return np.eye(self.weights.shape[1]) + self.weights.T @ self.weights / self.noise**2


def maximized(posterior, hidden, log_joint, prior, *, steps, learning_rate=0.03, repeats=8):
    """The ELBO of each row after Adam, by 2,048 latents."""

    def elbo(params, key):
        def of(key):
            draw = posterior.apply(params, key, hidden, prior, log_joint)
            return log_joint(draw.latent) - draw.log_q

        return jax.vmap(of)(key).mean(axis=0)

    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    def step(state, key):
        params, optimizer_state = state
        gradient = jax.grad(lambda params: -elbo(params, jax.random.split(key, repeats)).mean())(params)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state)
        return (optax.apply_updates(params, updates), optimizer_state), None

    @jax.jit
    def run(key):
        params = posterior.init(key, hidden, method="center")
        keys = jax.random.split(jax.random.key(1), steps)
        (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), keys)
        return elbo(params, jax.random.split(jax.random.key(2), 2048))

    return run(jax.random.key(0))
