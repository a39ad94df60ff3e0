import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from ctc_jax.errors import ConfigError
from ctc_jax.gradients import REGISTRY
from tests.models.conftest import assert_same_mean, weights_and_bounds

KEYS = 2048


@pytest.mark.parametrize(
    ("name", "likelihood", "estimator"),
    [("mlp_vae", "gaussian", None), ("mask_vae", "logistic", "local_expectation")],
)
def test_weights_average_to_probabilities_of_all_images_that_sum_to_one(
    make_model, randomize, binary_images, name, likelihood, estimator
):
    made = {"estimator": REGISTRY[estimator]()} if estimator else {}
    model = make_model(name, likelihood, likelihood_options={"rank": 2}, **made)
    assert model.latents == ("z", "factors")
    params = randomize(model.init(jax.random.key(0)))
    found = weights_and_bounds(model, params, jax.random.split(jax.random.key(1), KEYS), binary_images)
    np.testing.assert_allclose(found["log_weight"], found["by_joint"], rtol=1e-4, atol=1e-4)
    total = np.exp(np.asarray(found["log_weight"], np.float64)).sum(axis=1)
    assert_same_mean(total, 1.0)
    bound = found["bound"].log_likelihood - sum(found["bound"].kl.values())
    assert_same_mean(np.asarray(bound) - np.asarray(found["log_weight"]), 0.0)


def test_factors_come_after_the_blocks_of_a_deep_model_in_a_loop_or_not(make_model, binary_images):
    model = make_model("top_down", "gaussian", likelihood_options={"rank": 1}, decoder="1x2", blocks=0)
    params, found = jax.jit(model.init)(jax.random.key(0)), []
    for rolled in (False, True):
        inner = model.network.network.clone(rolled=rolled, parent=None)
        other = dataclasses.replace(model, network=model.network.clone(network=inner))

        @jax.jit
        def answers(params, other=other):
            trace = other.infer(params, jax.random.key(1), binary_images)
            log_q = sum(site.log_q for site in trace.sites.values())
            return trace.log_weight, other.joint(params, binary_images, trace.latents).total - log_q

        found += answers(params)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-4, atol=1e-4)


def test_without_loadings_it_is_the_plain_model(make_model, randomize, binary_images):
    """`scale=pixel`: the rows of the output layer are the location's, the loadings' and the scale's."""
    model = make_model("mlp_vae", "gaussian", likelihood_options={"rank": 2})
    plain = make_model("mlp_vae", "gaussian")
    params = randomize(model.init(jax.random.key(0)))
    output = params["network"]["likelihood"]["values"]["output"]
    output.update({name: of.at[1:3].set(0.0) for name, of in output.items()})
    of_plain = jax.tree.map(lambda leaf: leaf, params["network"])
    of_plain["likelihood"]["values"]["output"] = {name: of[jnp.array([0, 3])] for name, of in output.items()}
    found, expected = (
        jax.jit(of.bound)(at, jax.random.key(1), binary_images) for of, at in ((model, params), (plain, of_plain))
    )
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-5)
    np.testing.assert_allclose(found.kl["z"], expected.kl["z"], rtol=1e-5)
    np.testing.assert_allclose(found.kl["factors"], 0.0, atol=1e-6)


def test_four_devices_find_the_factors_of_one(make_model, binary_images):
    model = make_model("mlp_vae", "gaussian", likelihood_options={"rank": 2})
    params = model.init(jax.random.key(0))
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    spread = jax.device_put(binary_images, NamedSharding(mesh, PartitionSpec("data")))
    found, expected = (jax.jit(model.bound)(params, jax.random.key(1), of) for of in (spread, binary_images))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, expected)


def test_factors_of_a_class_are_the_only_latent_of_class_conditional(make_model, binary_images):
    model = make_model("class_conditional", "logistic", likelihood_options={"rank": 1}, classes=2)
    trace = jax.jit(model.infer)(model.init(jax.random.key(0)), jax.random.key(1), binary_images)
    assert list(trace.sites) == ["factors"]


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("mlp_vae", {"posterior": "hamiltonian"}, "posterior.name"),
        ("ctc_hierarchy", {"inference": "bottom_up"}, "likelihood.gaussian.rank"),
    ],
)
def test_what_draws_one_latent_alone_or_from_the_image_up_is_refused(make_model, name, options, key):
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        make_model(name, "gaussian", likelihood_options={"rank": 1}, **options)
