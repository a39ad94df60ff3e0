import dataclasses
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import likelihoods, models, posteriors
from ctc_jax.data import Batch
from ctc_jax.models import ImageSpace, Setting

# The smallest network; a key that a model does not have is left out.
TINY = {"latents": 1, "width": 4, "blocks": 1, "features": 3, "activation": "tanh"}
TINY_PARTS = {"levels": 1, "channels": 1, "categories": 3, "decoder": "1x1"}


@pytest.fixture(scope="session")
def make_model():
    """Builds a tiny model by its name, likelihood and images, estimator, options of the model as keywords."""

    def make(
        name,
        likelihood="bernoulli",
        shape=(2, 2, 1),
        bits=1,
        classes=1,
        mean=(),
        dtype=jnp.float32,
        convolution_dtype=None,
        likelihood_options=None,
        posterior="diagonal",
        posterior_options=None,
        estimator=None,
        **changes,
    ):
        part = models.REGISTRY.get(name)
        own = {field.name for field in dataclasses.fields(part)} if part else set()
        shared = {field.name for field in dataclasses.fields(models.SECTION.shared)}
        section = {"name": name, **TINY, **{key: value for key, value in changes.items() if key in shared}}
        section[name] = {key: value for key, value in TINY_PARTS.items() if key in own}
        section[name] |= {key: value for key, value in changes.items() if key not in shared}
        pixels = {"name": likelihood, "fixed_scale": 1.0, "ctc": {"components": 2}}
        pixels |= {likelihood: likelihood_options} if likelihood_options else {}
        setting = Setting(
            likelihoods.build(pixels, shape=shape, bits=bits, features=section["features"]),
            posteriors.build({"name": posterior, **({posterior: posterior_options} if posterior_options else {})}),
            ImageSpace(shape, bits, classes, mean),
            dtype,
            convolution_dtype,
        )
        model = models.build(section, setting)
        return dataclasses.replace(model, estimator=estimator) if estimator else model

    return make


@pytest.fixture(scope="session")
def randomize():
    """Moves every parameter away from its start, so that nothing is zero or symmetric."""

    def move(params, scale=0.7):
        random = np.random.default_rng(11)
        return jax.tree.map(lambda leaf: leaf + scale * random.standard_normal(leaf.shape, np.float32), params)

    return move


@pytest.fixture(scope="session")
def binary_images():
    """All sixteen 2x2 binary images."""
    images = np.array(list(itertools.product((0, 1), repeat=4)), np.uint8).reshape(16, 2, 2, 1)
    return Batch(jnp.asarray(images), jnp.zeros(16, jnp.int32))


@pytest.fixture(scope="session")
def one_image():
    """A batch of one 2x2 binary image."""
    return Batch(jnp.asarray([[[[1], [0]], [[1], [1]]]], jnp.uint8), jnp.zeros(1, jnp.int32))


@partial(jax.jit, static_argnums=0)
def weights_and_bounds(model, params, keys, batch):
    """For each key the trace's weight, log q and latents of one draw, the joint's weight of it, and a bound."""

    def one(key):
        trace = model.infer(params, key, batch)
        log_q = sum(site.log_q for site in trace.sites.values())
        by_joint = model.joint(params, batch, trace.latents).total - log_q
        return {
            "log_weight": trace.log_weight,
            "by_joint": by_joint,
            "log_q": log_q,
            "latents": {name: latent.product for name, latent in trace.latents.items()},
            "bound": model.bound(params, jax.random.fold_in(key, 1), batch),
        }

    return jax.vmap(one)(keys)


def assert_same_mean(samples, expected, errors=4.5):
    """The mean over the leading axis is `expected` within Monte Carlo error."""
    error = np.std(samples, axis=0, dtype=np.float64) / np.sqrt(len(samples))
    np.testing.assert_array_less(np.abs(np.mean(samples, axis=0, dtype=np.float64) - expected), errors * error + 1e-5)


def assert_close(found, expected):
    """Two programs of the same numbers, to rounding in float32."""

    def close(one, other):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)

    jax.tree.map(close, found, expected)


def z_scores(found, expected):
    """Of the difference of two means over the leading axis, each with its Monte Carlo error, for all leaves."""
    scores = []
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        one, other = (np.asarray(leaf, np.float64).reshape(len(leaf), -1) for leaf in (one, other))
        error = np.sqrt(one.var(axis=0) / len(one) + other.var(axis=0) / len(other))
        scores.append((one.mean(axis=0) - other.mean(axis=0)) / (error + 1e-6))
    return np.concatenate(scores)
