from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.data import Split
from ctc_jax.distributions import IndependentPixels, PixelBernoulli
from ctc_jax.models import ElboTerms, Model


@dataclass(frozen=True)
class Numbered(Model):
    """Scores an image by the number it carries in its first pixel, so that each image's part in a sum can be told."""

    image_shape = (1, 2, 1)
    mask_kinds = frozenset()

    def recognize(self, params, key, batch):
        return {"z": jax.random.normal(key, (len(batch.label),))}, jnp.zeros(len(batch.label))

    def log_joint(self, params, batch, latents):
        return params * batch.image[:, 0, 0, 0].astype(jnp.float32)

    def elbo_terms(self, params, key, batch):
        number = batch.image[:, 0, 0, 0].astype(jnp.float32)
        return ElboTerms(params * number**2, {"low": number, "high": batch.label.astype(jnp.float32)})


@dataclass(frozen=True)
class Scaled(Model):
    """p(z) = N(0, 1), 2x2 Bernoulli pixels with logits `params` z, q(z|x) = N(x's mean - 1/2, 1)."""

    image_shape = (4, 4, 1)
    mask_kinds = frozenset()

    def recognize(self, params, key, batch):
        noise = jax.random.normal(key, (len(batch.label),))
        return {"z": self._loc(batch) + noise}, jax.scipy.stats.norm.logpdf(noise)

    def log_joint(self, params, batch, latents):
        return self.decode(params, latents).log_prob(batch.image) + jax.scipy.stats.norm.logpdf(latents["z"])

    def generate(self, params, key, count):
        latents = {"z": jax.random.normal(key, (count,))}
        return latents, self.decode(params, latents)

    def decode(self, params, latents):
        return IndependentPixels(PixelBernoulli(latents["z"][:, None, None, None] * params[None]))

    def elbo_terms(self, params, key, batch):
        latents, _ = self.recognize(params, key, batch)
        return ElboTerms(self.decode(params, latents).log_prob(batch.image), {"z": 0.5 * self._loc(batch) ** 2})

    def posterior_means(self, params, batch):
        return {"z": self._loc(batch)[:, None]}

    def _loc(self, batch):
        return batch.image.astype(jnp.float32).mean((1, 2, 3)) - 0.5


@pytest.fixture(scope="session")
def numbered():
    return Numbered()


@pytest.fixture(scope="session")
def numbered_split():
    """Eleven images that carry powers of two, so that any multiset of them has its own sum."""
    images = np.zeros((11, 1, 2, 1), np.uint8)
    images[:, 0, 0, 0] = [1, 2, 4, 8, 16, 32, 64, 128, 3, 7, 200]
    return Split(images, np.arange(11, dtype=np.int32))


@pytest.fixture(scope="session")
def scaled():
    return Scaled()


@pytest.fixture(scope="session")
def scaled_params():
    return jax.random.normal(jax.random.key(0), (4, 4, 1))


@pytest.fixture(scope="session")
def binary_split():
    images = np.random.default_rng(0).integers(0, 2, (11, 4, 4, 1)).astype(np.uint8)
    return Split(images, np.zeros(11, np.int32))
