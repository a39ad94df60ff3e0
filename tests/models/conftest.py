import itertools

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from ctc_jax import likelihoods, models
from ctc_jax.data import Batch
from ctc_jax.models import ImageSpace


@pytest.fixture(scope="module")
def make_model():
    """Builds a tiny model by its name, likelihood and images, other model keys as keywords."""

    def make(
        name,
        likelihood="bernoulli",
        shape=(2, 2, 1),
        bits=1,
        classes=1,
        dtype=jnp.float32,
        posterior="diagonal",
        **changes,
    ):
        network = {"latents": 1, "width": 4, "levels": 1, "blocks": 1, "features": 3, "activation": "tanh"}
        network |= {"negative_slope": 0.01, "latent": "bernoulli", "categories": 3, "prior": "fixed", "narrowing": 1}
        network |= {"centered": False, "som_sigma": 0.0, "som_sigma_steps": 0}
        network |= {
            "families": "ctc_pool",
            "channels": 1,
            "patch": 1,
            "beta": 0.0,
            "inference": "top_down",
            "top": "gaussian",
        }
        network |= {"value_loc": 0.0, "value_scale": 1.0}
        network |= changes
        section = {"name": likelihood, "fixed_scale": 1.0, "ctc": {"components": 2}}
        return models.build(
            ml_collections.ConfigDict({"name": name, **network}),
            ml_collections.ConfigDict({"name": posterior}),
            likelihoods.build(section, shape=shape, bits=bits, features=network["features"]),
            ImageSpace(shape, bits, classes),
            dtype,
        )

    return make


@pytest.fixture(scope="module")
def randomize():
    """Moves every parameter away from its start, so that nothing is zero or symmetric."""

    def move(params, scale=0.7):
        random = np.random.default_rng(11)
        return jax.tree.map(lambda leaf: leaf + scale * random.standard_normal(leaf.shape, np.float32), params)

    return move


@pytest.fixture(scope="module")
def binary_images():
    """All sixteen 2x2 binary images."""
    images = np.array(list(itertools.product((0, 1), repeat=4)), np.uint8).reshape(16, 2, 2, 1)
    return Batch(jnp.asarray(images), jnp.zeros(16, jnp.int32))
