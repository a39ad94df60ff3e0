import itertools

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from ctc_jax.data import Batch
from ctc_jax.distributions import IndependentPixels, PixelBernoulli
from ctc_jax.distributions.masked import MaskedDistribution
from tests import toys


class OneLatent(toys.Chain):
    """p(z) = N(0, 1), pixels Bernoulli with logits a z + c, q(z|x) = N(b mean(x), e^s): all of it in `params`."""

    def posterior_of(self, name, features, hidden, prior, step):
        loc = self.params["b"] * features.image.astype(jnp.float32).mean((1, 2, 3))[:, None]
        return MaskedDistribution(None, None, dist.Normal(loc, jnp.exp(self.params["s"])))

    def pixels(self, hidden):
        logits = hidden[:, None, None, None] * self.params["a"][None] + self.params["c"]
        return IndependentPixels(PixelBernoulli(logits))


@pytest.fixture(scope="session")
def one_latent():
    return toys.model(OneLatent)


@pytest.fixture(scope="session")
def params():
    a = jnp.asarray([1.5, -1.0, 0.5, 2.0]).reshape(2, 2, 1)
    return {"a": a, "c": jnp.float32(-0.3), "b": jnp.float32(0.8), "s": jnp.float32(-0.2)}


@pytest.fixture(scope="session")
def binary_images():
    """All sixteen 2x2 binary images."""
    images = np.array(list(itertools.product((0, 1), repeat=4)), np.uint8).reshape(16, 2, 2, 1)
    return Batch(jnp.asarray(images), jnp.zeros(16, jnp.int32))
