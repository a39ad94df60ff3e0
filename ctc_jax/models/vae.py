"""Variational autoencoder with one latent vector (Kingma and Welling 2014). Tests: tests/models/test_vae.py."""

from dataclasses import dataclass, field

import flax.linen as nn
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch
from ctc_jax.models.model import ElboTerms, Latents, Params, pixel_log_prob


@dataclass(frozen=True)
class VAE:
    """p(z) = N(0, I), any network that has `encode(images) -> q(z|x)` and `decode(z) -> distribution on pixels`.

    Attributes:
      network: flax module with those two methods.
      latents: size of z.
      image_shape: height, width, channels.
    """

    network: nn.Module
    latents: int
    image_shape: tuple[int, int, int]
    mask_kinds: frozenset[str] = field(default=frozenset())
    mask_levels: int = 0

    def init(self, key: Key[Array, ""]) -> Params:
        """Fresh parameters, float32."""
        return self.network.init(key, jnp.zeros((1, *self.image_shape), jnp.int32))["params"]

    def recognize(self, params: Params, key: Key[Array, ""], batch: Batch) -> tuple[Latents, Float[Array, " batch"]]:
        """z ~ q(z|x) and log q(z|x)."""
        posterior = self._posterior(params, batch)
        code = posterior.sample(key)
        return {"z": code}, posterior.log_prob(code)

    def log_joint(self, params: Params, batch: Batch, latents: Latents) -> Float[Array, " batch"]:
        """log p(x|z) + log p(z)."""
        return self.decode(params, latents).log_prob(batch.image) + self._prior(len(batch.image)).log_prob(latents["z"])

    def generate(self, params: Params, key: Key[Array, ""], count: int) -> tuple[Latents, dist.Distribution]:
        """`count` codes from the prior and their distributions on pixels."""
        latents = {"z": self._prior(count).sample(key)}
        return latents, self.decode(params, latents)

    def decode(self, params: Params, latents: Latents) -> dist.Distribution:
        """p(x|z)."""
        return self.network.apply({"params": params}, latents["z"], method="decode")

    def elbo_terms(
        self,
        params: Params,
        key: Key[Array, ""],
        batch: Batch,
        mask_annealing: Array | None = None,
        step: Array | None = None,
        kl_weight: Array | float = 1.0,
    ) -> ElboTerms:
        """One reparameterized sample for the likelihood; the KL in closed form where numpyro has one."""
        del step, kl_weight  # nothing is scheduled, and no mask is drawn that could be charged
        posterior = self._posterior(params, batch)
        code = posterior.sample(key)
        log_likelihood = pixel_log_prob(self.decode(params, {"z": code}), batch.image, mask_annealing)
        prior = self._prior(len(batch.image))
        try:
            kl = dist.kl_divergence(posterior, prior)
        except NotImplementedError:
            kl = posterior.log_prob(code) - prior.log_prob(code)
        return ElboTerms(log_likelihood, {"z": kl})

    def posterior_means(self, params: Params, batch: Batch) -> dict[str, Float[Array, "batch units"]]:
        """E_q[z|x]."""
        return {"z": self._posterior(params, batch).mean}

    def _posterior(self, params: Params, batch: Batch) -> dist.Distribution:
        return self.network.apply({"params": params}, batch.image, method="encode")

    def _prior(self, count: int) -> dist.Distribution:
        zeros = jnp.zeros((count, self.latents))
        return dist.Normal(zeros, jnp.ones_like(zeros)).to_event(1)
