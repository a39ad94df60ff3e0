from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax import Array

from ctc_jax.data import Split
from ctc_jax.distributions import IndependentPixels, PixelBernoulli
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.models import Site, Trace
from tests import toys


class Free(NamedTuple):
    """A distribution that scores nothing."""

    zero: Array

    def log_prob(self, draw):
        return self.zero


class Numbered(toys.Silent):
    """Scores an image by the number it carries in its first pixel, so that each image's part in a sum can be told.

    Its likelihood is `params` times the number's square, its weight `params` times the number, the KL of its two
    latents the number and the label.
    """

    image_shape = (1, 2, 1)
    latents = ("high", "low")

    def infer(self, params, key, batch, *, schedule=None):
        number, label = batch.image[:, 0, 0, 0].astype(jnp.float32), batch.label.astype(jnp.float32)
        free, draw = Free(jnp.zeros_like(number)), Masked(number[:, None])
        sites = {
            "low": Site(draw, None, free, params * (number**2 - number), number),
            "high": Site(draw, None, free, free.zero, label),
        }
        return Trace({}, sites, free, params * number**2)


class Scaled(toys.Chain):
    """p(z) = N(0, 1), 4x4 Bernoulli pixels with logits `params` z, q(z|x) = N(x's mean - 1/2, 1)."""

    image_shape = (4, 4, 1)

    def posterior_of(self, name, features, hidden, prior, step):
        loc = features.image.astype(jnp.float32).mean((1, 2, 3))[:, None] - 0.5
        return MaskedDistribution(None, None, dist.Normal(loc, jnp.ones_like(loc)))

    def pixels(self, hidden):
        return IndependentPixels(PixelBernoulli(hidden[:, None, None, None] * self.params[None]))


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
    return toys.model(Scaled)


@pytest.fixture(scope="session")
def scaled_params():
    return jax.random.normal(jax.random.key(0), (4, 4, 1))


@pytest.fixture(scope="session")
def binary_split():
    images = np.random.default_rng(0).integers(0, 2, (11, 4, 4, 1)).astype(np.uint8)
    return Split(images, np.zeros(11, np.int32))
