import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.data import Batch
from ctc_jax.distributions import IndependentPixels, PixelBernoulli
from ctc_jax.models import ElboTerms, Model


@dataclass(frozen=True)
class OneLatent(Model):
    """p(z) = N(0, 1), pixels Bernoulli with logits a z + c, q(z|x) = N(b mean(x), e^s): all of it in `params`."""

    image_shape = (2, 2, 1)
    mask_kinds = frozenset()

    def recognize(self, params, key, batch):
        scale = jnp.exp(params["s"])
        noise = jax.random.normal(key, (len(batch.label),))
        log_q = jax.scipy.stats.norm.logpdf(noise) - params["s"]
        return {"z": params["b"] * batch.image.astype(jnp.float32).mean((1, 2, 3)) + scale * noise}, log_q

    def log_joint(self, params, batch, latents):
        return self.decode(params, latents).log_prob(batch.image) + jax.scipy.stats.norm.logpdf(latents["z"])

    def decode(self, params, latents):
        logits = latents["z"][:, None, None, None] * params["a"][None] + params["c"]
        return IndependentPixels(PixelBernoulli(logits))

    def elbo_terms(self, params, key, batch, mask_annealing=None, step=None, kl_weight=1.0):
        latents, _ = self.recognize(params, key, batch)
        loc = params["b"] * batch.image.astype(jnp.float32).mean((1, 2, 3))
        kl = 0.5 * (jnp.exp(2 * params["s"]) + loc**2 - 1) - params["s"]
        return ElboTerms(self.decode(params, latents).log_prob(batch.image), {"z": kl})


@pytest.fixture(scope="session")
def one_latent():
    return OneLatent()


@pytest.fixture(scope="session")
def params():
    a = jnp.asarray([1.5, -1.0, 0.5, 2.0]).reshape(2, 2, 1)
    return {"a": a, "c": jnp.float32(-0.3), "b": jnp.float32(0.8), "s": jnp.float32(-0.2)}


@pytest.fixture(scope="session")
def binary_images():
    """All sixteen 2x2 binary images."""
    images = np.array(list(itertools.product((0, 1), repeat=4)), np.uint8).reshape(16, 2, 2, 1)
    return Batch(jnp.asarray(images), jnp.zeros(16, jnp.int32))
