"""Estimators on one and two levels of masks against the gradient with every mask summed."""

import dataclasses
import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from ctc_jax import gradients
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.gradients import Enumerate, PerSite, ReinMax, StraightThrough
from ctc_jax.gradients.surrogate import zero
from ctc_jax.models.estimated_bound import estimated_bound
from ctc_jax.models.orders import BottomUp, TopDown
from ctc_jax.models.walk import sampled, walk
from tests.models.conftest import z_scores
from tests.models.pair import (
    BATCH,
    CATEGORICAL,
    CONTEXT,
    KINDS,
    SCHEDULE,
    WEIGHT,
    Pair,
    Single,
    by_enumeration,
    weights_of,
)

DRAWS = 2**13
ORDERS = {"top_down": TopDown, "bottom_up": BottomUp}
OPTIONS = {"samples": 3, "temperature": 0.7, "decay": 0.9, "width": 3}


def estimator_of(name):
    part = gradients.REGISTRY[name]
    own = {field.name for field in dataclasses.fields(part)}
    return part(**{option: value for option, value in OPTIONS.items() if option in own})


def objective(bound):
    return jnp.sum(bound.log_likelihood - WEIGHT * sum(bound.kl.values()))


def bound_of(chain, order, key, estimator, schedule=SCHEDULE):
    """The bound; what an estimator learns is away from its start."""
    params = {}
    for index, site in enumerate(chain.mask_sites):
        learned = estimator.of(site.name).init(jax.random.key(index), site.shape, CONTEXT.shape[1])
        params[site.name] = jax.tree.map(lambda leaf: leaf + 0.2, learned)
    options = {"params": params, "context": CONTEXT, "schedule": schedule}
    return estimated_bound(ORDERS[order](chain, BATCH), key, BATCH, estimator, chain.mask_sites, **options)


def by_estimator(estimator, kind, order="top_down", chain=Pair, seed=0, draws=DRAWS):
    """Gradients of the weighted bound in all weights, a key each."""

    def one(weights, key):
        return objective(bound_of(chain(KINDS[kind], weights), order, key, estimator))

    keys = jax.random.split(jax.random.key(seed), draws)
    return jax.jit(jax.vmap(jax.grad(one), in_axes=(None, 0)))(weights_of(), keys)


@functools.cache
def exact(kind, order="top_down", chain=Pair):
    """By enumeration, on keys that no estimator sees."""
    keys = jax.random.split(jax.random.key(99), DRAWS)
    return by_enumeration(lambda weights: ORDERS[order](chain(KINDS[kind], weights), BATCH), keys)


UNBIASED = [
    ("rloo", "categorical", "top_down"),
    ("nvil", "bernoulli", "bottom_up"),
    ("double_cv", "categorical", "top_down"),
    pytest.param("rloo", "bernoulli", "bottom_up", marks=pytest.mark.slow),
    pytest.param("rloo", "bernoulli", "top_down", marks=pytest.mark.slow),
    pytest.param("score_moving_average", "categorical", "top_down", marks=pytest.mark.slow),
    pytest.param("nvil", "bernoulli", "top_down", marks=pytest.mark.slow),
    pytest.param("enumerate", "categorical", "top_down", marks=pytest.mark.slow),
    pytest.param("disarm", "bernoulli", "top_down", marks=pytest.mark.slow),
    pytest.param("relax", "categorical", "top_down", marks=pytest.mark.slow),
    pytest.param("disarm", "bernoulli", "bottom_up", marks=pytest.mark.slow),
    pytest.param("enumerate", "bernoulli", "bottom_up", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "kind", "order"), UNBIASED)
def test_the_mean_over_two_levels_of_masks_is_the_gradient_by_enumeration(name, kind, order):
    found = by_estimator(estimator_of(name), kind, order)
    assert np.abs(z_scores(found, exact(kind, order))).max() < 4.7  # of some hundred coordinates


@pytest.mark.parametrize("name", ["rloo", "enumerate"])
def test_of_one_level_the_rest_of_the_walk_is_the_reward(name):
    found = by_estimator(estimator_of(name), "categorical", chain=Single)
    expected = exact("categorical", chain=Single)
    # The other latent has no part in it: all of its gradients are 0.
    np.testing.assert_array_equal(found["second"]["out"], 0.0)
    assert np.abs(z_scores(found["first"], expected["first"])).max() < 4.5


def test_without_the_kl_below_it_in_the_signal_it_fails_this_test():
    """Masks of the first level move the KL of the second: a signal without it is biased."""

    class Costless(MaskedDistribution):
        """Its KL is 0 in value, and has the gradient that it has beside the masks'."""

        def kl(self, prior):
            return zero(super().kl(prior))

    class Free(TopDown):
        def distributions(self, carry, name):
            q, p = super().distributions(carry, name)
            return (q if name == "first" else Costless(q.kind, q.logits, q.values)), p

    def gradient(order):
        def one(weights, key):
            chain = Pair(CATEGORICAL, weights)
            options = {"params": {}, "context": CONTEXT, "schedule": SCHEDULE}
            steps = order(chain, BATCH)
            return objective(estimated_bound(steps, key, BATCH, estimator_of("rloo"), chain.mask_sites, **options))

        keys = jax.random.split(jax.random.key(0), DRAWS)
        return jax.jit(jax.vmap(jax.grad(one), in_axes=(None, 0)))(weights_of(), keys)

    assert np.abs(z_scores(gradient(Free), exact("categorical"))).max() > 10


@pytest.mark.parametrize("name", ["reinmax", "rloo", "double_cv"])
def test_the_parts_are_those_of_a_plain_draw_in_the_mean(name):
    """Whatever the estimator does to gradients, values stay estimates of the bound's parts."""
    estimator = estimator_of(name)

    @jax.jit
    @jax.vmap
    def both(keys):
        chain = Pair(CATEGORICAL, weights_of())
        bound = bound_of(chain, "top_down", keys[0], estimator)
        trace = walk(TopDown(chain, BATCH), sampled(keys[1]), BATCH)
        plain = {name: site.kl for name, site in trace.sites.items()}
        return {"likelihood": bound.log_likelihood, **bound.kl}, {"likelihood": trace.log_likelihood, **plain}

    found, expected = both(jax.random.split(jax.random.key(1), (DRAWS, 2)))
    if name == "double_cv":
        # Nested: the parts' sum is the objective's value, and the likelihood takes up the difference.
        weights = {"first": WEIGHT, "second": WEIGHT, "likelihood": -1.0}
        found, expected = ({"sum": sum(weight * of[n] for n, weight in weights.items())} for of in (found, expected))
    assert np.abs(z_scores(found, expected)).max() < 4.5


def test_a_mask_that_carries_its_gradient_is_right_where_the_rest_is_linear():
    """Straight-through is exact for a reward linear in the mask; and without an estimator masks have none."""

    class Linear(Single):
        def pixels(self, hidden):
            return dist.Unit(jnp.sum(hidden, axis=-1))

    def gradient(estimator):
        def one(weights):
            return objective(bound_of(Linear(CATEGORICAL, weights), "top_down", jax.random.key(0), estimator))

        return jax.jit(jax.grad(one))(weights_of())["first"]["posterior_logits"]

    # Both draw the same values: their keys are those of the walk.
    np.testing.assert_allclose(gradient(StraightThrough()), gradient(Enumerate()), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_each_latent_may_have_an_estimator_of_its_own():
    """These draw the same masks. What the last latent learns is its own estimator's, what the first learns of both."""
    one, other = ReinMax(), StraightThrough()

    @partial(jax.jit, static_argnums=0)
    def gradient(estimator):
        def of(weights, key):
            return objective(bound_of(Pair(CATEGORICAL, weights), "top_down", key, estimator))

        return jax.vmap(jax.grad(of), (None, 0))(weights_of(), jax.random.split(jax.random.key(0), 32))

    mixed = gradient(PerSite((("first", one), ("second", other))))
    twice = gradient(PerSite((("first", one), ("second", one))))
    of_one, of_other = gradient(one), gradient(other)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), twice, of_one)
    logits = {
        name: [np.asarray(of[name]["posterior_logits"]) for of in (mixed, of_one, of_other)] for name in Pair.latents
    }
    np.testing.assert_allclose(logits["second"][0], logits["second"][2], rtol=1e-5, atol=1e-6)
    assert np.abs(logits["second"][0] - logits["second"][1]).max() > 1e-3
    for alone in logits["first"][1:]:
        assert np.abs(logits["first"][0] - alone).max() > 1e-3


@pytest.mark.parametrize("latent", ["ctc", "bernoulli"])
def test_a_sparse_reward_is_the_plain_one(make_model, randomize, binary_images, latent):
    """The decoder's first layer taken apart, or the whole walk as the reward: the same numbers and gradients."""
    model = make_model("mask_vae", latent=latent, latents=2, centered=latent == "bernoulli")
    params = randomize(jax.jit(model.init)(jax.random.key(0)))
    (site,) = model.mask_sites
    assert site.linear

    @partial(jax.jit, static_argnums=(1, 2))
    def both(params, site, estimator):
        def of(params):
            steps = TopDown(model.bound_network(params), binary_images)
            options = {"params": {}, "context": jnp.zeros((16, 1)), "schedule": SCHEDULE}
            return objective(estimated_bound(steps, jax.random.key(2), binary_images, estimator, (site,), **options))

        return jax.value_and_grad(of)(params)

    for estimator in (Enumerate(), estimator_of("rloo")):
        sparse, plain = (both(params, of, estimator) for of in (site, dataclasses.replace(site, linear=False)))
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), sparse, plain)
