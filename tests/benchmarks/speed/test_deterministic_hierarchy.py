import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.speed.deterministic_hierarchy import keep_largest, twin
from configs import mnist_hierarchy
from ctc_jax import training
from ctc_jax.data import Batch
from ctc_jax.models import ImageSpace

CERTAIN = 1e6  # beta: two locations that differ by 1e-4 of their size are told apart


def hierarchy(**changes):
    config = mnist_hierarchy.get_config()
    config.model.update({"width": 4, "latents": 3, "features": 3, "blocks": 0})
    config.model.ctc_hierarchy.update({"channels": 2, "levels": 2, **changes})
    return training.build_model(config, ImageSpace((4, 4, 1), 1, 1))


def parameters(model, seed):
    """Numbers that are nowhere special, without compiling the start."""
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda of: jnp.asarray(0.6 * random.standard_normal(of.shape, np.float32)), shapes)


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).integers(0, 2, (3, 4, 4, 1)).astype(np.uint8)
    return Batch(jnp.asarray(images), jnp.zeros(3, jnp.int32))


def test_largest_unit_of_each_window_stays_where_it_is_and_has_the_gradient():
    units = np.random.default_rng(1).normal(size=(2, 4, 6, 3)).astype(np.float32)
    expected = np.zeros_like(units)
    for image, row, column, channel in np.ndindex(2, 2, 3, 3):
        window = units[image, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel]
        y, x = np.unravel_index(window.argmax(), (2, 2))
        expected[image, 2 * row + y, 2 * column + x, channel] = window[y, x]
    np.testing.assert_array_equal(keep_largest(jnp.asarray(units)), expected)
    gradient = jax.grad(lambda x: jnp.sum(keep_largest(x)))(jnp.asarray(units))
    np.testing.assert_array_equal(gradient, expected != 0)


@pytest.mark.parametrize("families", ["ctc_pool", "ctc_relu"])
def test_twin_is_the_limit_of_the_hierarchy(families, batch):
    """Logits tied by a large beta, scales of e^-16, a prior whose locations are 0: the twin's likelihood."""
    model = hierarchy(families=families, beta=CERTAIN)
    made = twin(model)
    params, whole = parameters(made, 2), parameters(model, 3)
    # A code of scale e^-8, for the two do not share their keys.
    half = model.network.top.latents
    params["top"]["Dense_0"] = {
        "kernel": params["top"]["Dense_0"]["kernel"].at[:, half:].set(0.0),
        "bias": params["top"]["Dense_0"]["bias"].at[half:].set(-20.0),
    }
    for name, value in whole.items():
        if name.startswith(("priors", "posteriors")):
            log_scale = value["parameters"]["log_scale"]
            narrow = {"kernel": 0.0 * log_scale["kernel"], "bias": 0.0 * log_scale["bias"] - 20.0}
            # A change of location counts in the prior's scales, which are e^-8.
            factor, of = (0.0, value) if name.startswith("priors") else (math.exp(8.0), params[name])
            loc = jax.tree.map(lambda leaf, factor=factor: factor * leaf, of["loc"])
            whole[name] = {"loc": loc, "parameters": {**value["parameters"], "log_scale": narrow}}
        else:
            whole[name] = params[name]

    @jax.jit
    def both(params, whole):
        return [
            of.bound(given, jax.random.key(1), batch).log_likelihood for of, given in ((made, params), (model, whole))
        ]

    expected, found = both(params, whole)
    assert np.ptp(expected) > 0.3  # the image has a say
    np.testing.assert_allclose(found, expected, rtol=3e-3)


def test_twin_has_no_parameters_that_it_does_not_use(batch):
    made = twin(hierarchy())

    def bound(params):
        terms = made.bound(params, jax.random.key(1), batch)
        return jnp.sum(terms.log_likelihood - terms.kl["top"])

    gradient = jax.jit(jax.grad(bound))(parameters(made, 4))
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


def test_a_hierarchy_without_masks_has_no_twin():
    with pytest.raises(ValueError, match="masks at every level"):
        twin(hierarchy(families="gaussian,ctc_pool"))
