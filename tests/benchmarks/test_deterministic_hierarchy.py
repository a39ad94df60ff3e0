import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from benchmarks import machine

sys.modules.setdefault("machine", machine)  # scripts find it beside themselves
sys.path.insert(0, str(machine.ROOT / "benchmarks"))

from benchmarks.deterministic_hierarchy import keep_largest, twin  # noqa: E402
from configs import mnist_hierarchy  # noqa: E402
from ctc_jax import training  # noqa: E402
from ctc_jax.data import Batch  # noqa: E402
from ctc_jax.models import ImageSpace  # noqa: E402

CERTAIN = 1e6  # beta: two locations that differ by 1e-4 of their size are told apart


def hierarchy(**changes):
    config = mnist_hierarchy.get_config()
    size = {"width": 4, "channels": 2, "latents": 3, "features": 3, "levels": 2, "blocks": 1}
    config.model.update({**size, **changes})
    model = training.build_model(ml_collections.ConfigDict(config), ImageSpace((8, 8, 1), 1, 1))
    return replace(model, estimator=None)


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).integers(0, 2, (3, 8, 8, 1)).astype(np.uint8)
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
    key, made = jax.random.key(0), twin(model)
    params = jax.jit(made.init)(key)
    random = np.random.default_rng(2)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * random.standard_normal(leaf.shape, np.float32), params)
    whole = jax.jit(model.init)(key)
    for name, value in whole.items():
        if name.startswith("priors"):
            value["loc"] = jax.tree.map(jnp.zeros_like, value["loc"])
        if name.startswith(("priors", "posteriors")):
            log_scale = value["parameters"]["log_scale"]
            value["parameters"]["log_scale"] = {"kernel": 0.0 * log_scale["kernel"], "bias": log_scale["bias"] - 8.0}
    whole = {name: {**value, **params[name]} if name in params else value for name, value in whole.items()}

    def at_mean_code(terms_of, params):
        # Top codes of scale e^-8: keys are not shared between the two.
        top = params["top"]["Dense_0"]
        half = top["bias"].shape[0] // 2
        scale = jnp.concatenate([jnp.ones(half), jnp.zeros(half)])
        narrow = {"kernel": top["kernel"] * scale[None], "bias": top["bias"] * scale - 20.0 * (1.0 - scale)}
        return terms_of({**params, "top": {"Dense_0": narrow}}, jax.random.key(1), batch).log_likelihood

    expected = jax.jit(lambda params: at_mean_code(made.elbo_terms, params))(params)
    found = jax.jit(lambda params: at_mean_code(model.elbo_terms, params))(whole)
    assert np.ptp(expected) > 1.0  # the image has a say
    np.testing.assert_allclose(found, expected, rtol=3e-3)


def test_twin_has_no_parameters_that_it_does_not_use(batch):
    made = twin(hierarchy())
    params = jax.jit(made.init)(jax.random.key(0))
    random = np.random.default_rng(3)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * random.standard_normal(leaf.shape, np.float32), params)

    def bound(params):
        terms = made.elbo_terms(params, jax.random.key(1), batch)
        return jnp.sum(terms.log_likelihood - terms.kl["top"])

    gradient = jax.jit(jax.grad(bound))(params)
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


def test_a_hierarchy_without_masks_has_no_twin():
    with pytest.raises(ValueError, match="masks at every level"):
        twin(hierarchy(families="gaussian,ctc_pool"))
