import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions.kl import kl_divergence

from ctc_jax.gradients import BERNOULLI, CATEGORICAL, GumbelSoftmax
from ctc_jax.layers import DenseCTC, LocalWinnerTakeAll, StochasticMaxPool, StochasticReLU, divergence, standard_prior
from tests.layers.conftest import assert_close_to_mean, call, many, randomized

KEY = jax.random.key(0)
UNITS, MAP = jax.random.normal(jax.random.key(1), (2, 6)), jax.random.normal(jax.random.key(2), (2, 4, 4, 2))
CASES = {
    "relu": (StochasticReLU, {}, UNITS),
    "pool": (StochasticMaxPool, {"window": (2, 2)}, MAP),
    "pool-off": (StochasticMaxPool, {"window": (2, 2), "off": True}, MAP),
    "lwta": (LocalWinnerTakeAll, {"block": 3}, UNITS),
    "dense": (DenseCTC, {"masks": 2, "categories": 3}, UNITS),
}


def build(name, **options):
    kind, fixed, features = CASES[name]
    layer = kind(**fixed, **options)
    return layer, randomized(layer, features, method="distribution"), features


@pytest.mark.parametrize("name", CASES)
def test_the_mean_of_draws_is_the_value_weighted_by_the_probabilities(name):
    layer, params, features = build(name, beta=None, gaussian=False)
    q = call(layer, params, features, method="distribution")
    assert_close_to_mean(many(layer, params, features).value, layer.select(q.probs, q.values.mean))


@pytest.mark.parametrize("name", CASES)
def test_log_probabilities_have_the_mean_of_the_entropy_and_kl_is_that_of_the_distributions(name):
    layer, params, features = build(name, beta=None, gaussian=True)
    q = call(layer, params, features, method="distribution")
    prior = jax.tree.map(lambda of: 0.7 * of + 0.2, q)
    found = many(layer, params, features, prior=prior)
    assert_close_to_mean(found.mask_log_prob + found.value_log_prob, -np.asarray(q.entropy()))
    np.testing.assert_allclose(found.kl[0], kl_divergence(q, prior), rtol=1e-5)
    np.testing.assert_allclose(call(layer, params, KEY, features).kl, divergence(q, standard_prior(q)), rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_single_pass_mask_and_a_nested_estimator_see_the_same_reward(name):
    """The relaxed mask of a call, and an estimator of the function of the mask that a model makes by `select`."""
    layer, params, features = build(name, beta=1.0, gaussian=False)
    mask_key, _ = jax.random.split(KEY)

    def soft(key, logits, *, kind):
        return kind.soften(logits + kind.noise(key, logits.shape))

    def in_one_pass(features):
        return jnp.sum(layer.apply(params, KEY, features, mask=soft).value ** 2)

    def nested(features):
        q = layer.apply(params, features, method="distribution")
        kind = BERNOULLI if name == "relu" else CATEGORICAL

        def reward(masks):
            return jnp.sum((layer.select(masks, q.values.mean) ** 2).reshape(len(masks), -1), axis=-1)

        return GumbelSoftmax()(mask_key, q.logits, reward, kind=kind).surrogate.sum()

    (a, by_pass), (b, by_nest) = (jax.jit(jax.value_and_grad(of))(features) for of in (in_one_pass, nested))
    np.testing.assert_allclose(a, b, rtol=1e-5)
    np.testing.assert_allclose(by_pass, by_nest, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_draw_from_the_distribution_is_the_call(name):
    layer, params, features = build(name, beta=None, gaussian=True)
    q = call(layer, params, features, method="distribution")
    again = jax.jit(layer.draw)(KEY, q)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), again, call(layer, params, KEY, features)
    )


@pytest.mark.parametrize("name", CASES)
def test_low_precision_features_give_float32(name):
    layer, params, features = build(name, beta=None, gaussian=True)
    found = jax.eval_shape(lambda: layer.apply(params, KEY, features.astype(jnp.bfloat16)))
    assert {of.dtype for of in found} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", CASES)
def test_certain_masks_cost_minus_the_log_probability_of_the_prior(name):
    layer, params, features = build(name, beta=math.inf, gaussian=False)
    found = many(layer, params, features, 16)
    np.testing.assert_array_equal(found.mask, np.broadcast_to(found.mask[:1], found.mask.shape))
    np.testing.assert_array_equal(found.mask_log_prob, 0.0)
    alternatives = 2 if name == "relu" else found.mask.shape[-1]
    np.testing.assert_allclose(found.kl, np.log(alternatives), rtol=1e-5)
    gradient = jax.jit(jax.grad(lambda features: layer.apply(params, KEY, features).kl.sum()))(features)
    np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_a_beta_that_ties_nothing_is_refused(name, beta):
    kind, fixed, _ = CASES[name]
    with pytest.raises(ValueError, match=r"^beta is .*; allowed: above 0, or None for free logits$"):
        kind(**fixed, beta=beta)
