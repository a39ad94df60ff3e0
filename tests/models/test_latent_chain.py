"""On a chain of two masked latents small enough to sum over every mask."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from ctc_jax.models.latent_chain import Ending, draw, elbo_terms, laws
from ctc_jax.models.mask_law import MaskLaw

from ctc_jax import gradients
from ctc_jax.gradients import BERNOULLI, CATEGORICAL, PerSite
from ctc_jax.gradients.surrogate import zero

KEYS = 2**14
WEIGHT = 0.6
CONTEXT = jnp.arange(4.0).reshape(2, 2)
KINDS = {"categorical": CATEGORICAL, "bernoulli": BERNOULLI}


class Pair:
    """Two latents of a batch of two: two places, then one that depends on what the first drew.

    Half of the KL is known before a draw, half of it and the likelihood only at the end.
    """

    names = ("first", "second")

    def __init__(self, kind, weights):
        self.kind, self.weights = kind, weights

    def start(self):
        return jnp.zeros((2, 3))

    def law(self, carry, index):
        places = 2 - index
        shape = (2, places) if self.kind is BERNOULLI else (2, places, 2)
        of = self.weights[self.names[index]]
        features = jnp.tanh(carry + of["offset"][None])
        logits = (features @ of["logits"]).reshape(2, -1)[:, : np.prod(shape[1:])].reshape(shape)
        loc = (features @ of["loc"]).reshape(2, -1)[:, : np.prod(shape[1:])].reshape(shape)
        law = MaskLaw(self.kind, logits, dist.Normal(loc, jnp.full_like(loc, 0.1)))
        return law, 0.5 * jnp.sum(features**2, axis=-1)

    def advance(self, carry, index, mask, values):
        latent = (mask * values).reshape(2, -1)
        return carry + latent @ self.weights[self.names[index]]["out"][: latent.shape[1]]

    def finish(self, carry):
        likelihood = -jnp.sum((carry - 1.0) ** 2, axis=-1)
        return Ending(likelihood, {"first": jnp.sum(jnp.sin(carry), axis=-1)})


def weights_of(seed=0):
    random = np.random.default_rng(seed)

    def one():
        shapes = {"offset": (3,), "logits": (3, 4), "loc": (3, 4), "out": (4, 3)}
        return {name: jnp.asarray(random.standard_normal(shape), jnp.float32) for name, shape in shapes.items()}

    return {"first": one(), "second": one()}


OPTIONS = {"samples": 3, "temperature": 0.7, "decay": 0.9, "width": 3, "conditioned": 2}


def bound_estimator(name):
    part = gradients.REGISTRY[name]
    own = {field.name for field in dataclasses.fields(part)}
    return part(**{option: value for option, value in OPTIONS.items() if option in own})


def learned_parts(estimator, kind):
    """Away from their start, for both latents."""
    parts = {}
    for index, name in enumerate(Pair.names):
        shape = (2 - index,) if kind is BERNOULLI else (2 - index, 2)
        parts[name] = jax.tree.map(lambda leaf: leaf + 0.2, estimator.init(jax.random.key(index), shape, 2))
    return parts


def objective(terms):
    return jnp.sum(terms.log_likelihood - WEIGHT * sum(terms.kl.values()))


def by_estimator(name, kind, keys):
    """Gradients of the weighted bound in all weights, a key each."""
    estimator = bound_estimator(name)
    params = learned_parts(estimator, kind)

    def one(weights, key):
        chain = Pair(kind, weights)
        return objective(
            elbo_terms(chain, key, estimator, params=params, context=CONTEXT, kl_weight=WEIGHT, step=jnp.int32(0))
        )

    return jax.jit(jax.vmap(jax.grad(one), in_axes=(None, 0)))(weights_of(), keys)


def by_enumeration(kind, keys):
    """The same with both sums over masks written out; only the values are drawn."""

    def one(weights, key):
        chain = Pair(kind, weights)

        def rest(carry, index, key):
            if index == 2:
                ending = chain.finish(carry)
                return ending.log_likelihood - WEIGHT * sum(ending.costs.values())
            law, cost = chain.law(carry, index)
            key, value_key = jax.random.split(key)
            values, total = law.draw_values(value_key), -WEIGHT * cost
            for mask in kind.every(law.logits):
                probability = jnp.exp(kind.total_log_prob(law.logits, mask))
                total += probability * rest(chain.advance(carry, index, mask, values), index + 1, key)
            return total

        return jnp.sum(rest(chain.start(), 0, key))

    return jax.jit(jax.vmap(jax.grad(one), in_axes=(None, 0)))(weights_of(), keys)


@pytest.fixture(scope="module")
def exact():
    """By kind, on keys that no estimator sees."""
    return {name: by_enumeration(kind, jax.random.split(jax.random.key(99), KEYS)) for name, kind in KINDS.items()}


def z_scores(found, expected):
    """Of the difference of two means, each with its Monte Carlo error."""
    scores = []
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        one, other = (np.asarray(leaf, np.float64).reshape(len(leaf), -1) for leaf in (one, other))
        error = np.sqrt(one.var(axis=0) / len(one) + other.var(axis=0) / len(other))
        scores.append((one.mean(axis=0) - other.mean(axis=0)) / (error + 1e-6))
    return np.concatenate(scores)


UNBIASED = [
    ("rloo", "categorical"),
    ("rloo", "bernoulli"),
    ("score_moving_average", "categorical"),
    ("nvil", "bernoulli"),
    ("enumerate", "categorical"),
    ("double_cv", "categorical"),
    ("disarm", "bernoulli"),
    ("relax", "categorical"),
]


@pytest.mark.parametrize(("name", "kind"), UNBIASED)
def test_the_mean_over_two_levels_of_masks_is_the_gradient_by_enumeration(name, kind, exact):
    found = by_estimator(name, KINDS[kind], jax.random.split(jax.random.key(0), KEYS))
    assert np.abs(z_scores(found, exact[kind])).max() < 4.5


def test_without_the_kl_below_it_in_the_signal_it_fails_this_test(exact, monkeypatch):
    """Masks of the first level move the KL of the second: a signal without it is biased."""

    class Free(Pair):
        def law(self, carry, index):
            law, cost = super().law(carry, index)
            # A value of 0, and the gradient that it has beside the masks'.
            return law, cost if index == 0 else zero(cost)

    monkeypatch.setattr("tests.models.test_latent_chain.Pair", Free)
    found = by_estimator("rloo", CATEGORICAL, jax.random.split(jax.random.key(0), 4 * KEYS))
    assert np.abs(z_scores(found, exact["categorical"])).max() > 10


@pytest.mark.parametrize("name", ["reinmax", "straight_through", "rloo", "double_cv"])
def test_the_terms_are_those_of_a_plain_draw_in_the_mean(name):
    """Whatever the estimator does to gradients, values stay estimates of the bound's parts."""
    keys, estimator = jax.random.split(jax.random.key(1), KEYS), bound_estimator(name)
    chain = Pair(CATEGORICAL, weights_of())

    def terms(key):
        found = elbo_terms(chain, key, estimator, params={}, context=CONTEXT, kl_weight=WEIGHT, step=None)
        return {"log_likelihood": found.log_likelihood, **found.kl}

    def plain(key):
        drawn = draw(chain, key)
        return {"log_likelihood": drawn.log_likelihood, **drawn.kl}

    found, expected = jax.jit(jax.vmap(terms))(keys), jax.jit(jax.vmap(plain))(jax.random.split(keys[0], KEYS))
    if name == "double_cv":
        # Nested: the parts' sum is the objective's value, and the likelihood takes up the difference.
        weighted = {"first": WEIGHT, "second": WEIGHT, "log_likelihood": -1.0}
        found, expected = ({"sum": sum(w * of[n] for n, w in weighted.items())} for of in (found, expected))
    assert np.abs(z_scores(found, expected)).max() < 4.5


@pytest.mark.parametrize("kind", KINDS)
def test_log_q_and_the_laws_are_those_of_the_draw(kind):
    def both(weights, key):
        chain = Pair(KINDS[kind], weights)
        drawn, found = draw(chain, key), laws(chain, key)
        log_q = sum(found[name].log_prob(drawn.latents[name]) for name in chain.names)
        log_masks = {name: found[name].mask_log_prob(drawn.latents[name]) for name in chain.names}
        return (drawn.log_q, drawn.log_masks), (log_q, log_masks)

    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4), *jax.jit(both)(weights_of(), jax.random.key(3)))


def test_an_estimator_that_carries_its_gradient_is_right_where_the_rest_is_linear():
    """Straight-through is exact for a reward linear in the mask: of one latent, in the logits."""

    class One(Pair):
        names = ("first",)

        def law(self, carry, index):
            return super().law(carry, index)[0], jnp.zeros(2)

        def finish(self, carry):
            return Ending(jnp.sum(carry, axis=-1), {})

    def by(estimator, weights, key):
        return objective(elbo_terms(One(CATEGORICAL, weights), key, estimator, params={}, context=CONTEXT))

    found, expected = (
        jax.jit(jax.grad(partial(by, bound_estimator(name))))(weights_of(), jax.random.key(0))
        for name in ("straight_through", "enumerate")
    )
    np.testing.assert_allclose(found["first"]["logits"], expected["first"]["logits"], rtol=1e-4, atol=1e-6)


def test_each_latent_may_have_an_estimator_of_its_own():
    """These draw the same masks. What the last latent learns is its own estimator's, what the first learns of both."""
    one, other = (bound_estimator(name) for name in ("reinmax", "straight_through"))

    def gradient(estimator):
        def of(weights):
            chain = Pair(CATEGORICAL, weights)
            return objective(elbo_terms(chain, jax.random.key(0), estimator, params={}, context=CONTEXT))

        return jax.jit(jax.grad(of))(weights_of())

    mixed = gradient(PerSite((("first", one), ("second", other))))
    twice = gradient(PerSite((("first", one), ("second", one))))
    of_one, of_other = gradient(one), gradient(other)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), twice, of_one)
    logits = {name: [np.asarray(of[name]["logits"]) for of in (mixed, of_one, of_other)] for name in Pair.names}
    np.testing.assert_allclose(logits["second"][0], logits["second"][2], rtol=1e-5, atol=1e-6)
    assert np.abs(logits["second"][0] - logits["second"][1]).max() > 0.01
    for alone in logits["first"][1:]:
        assert np.abs(logits["first"][0] - alone).max() > 1e-3
