"""The walk on two masked latents, in both orders of inference, and on what is no masked latent."""

import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from ctc_jax.distributions.masked import standard
from ctc_jax.models.chain import Amortized, Observed
from ctc_jax.models.orders import BottomUp, Generation, TopDown
from ctc_jax.models.walk import centered, given, sampled, tempered, walk
from ctc_jax.posteriors import AbstractPosterior, PosteriorDraw
from tests.models.conftest import assert_same_mean
from tests.models.pair import BATCH, KINDS, Pair, weights_of

ORDERS = {"top_down": TopDown, "bottom_up": BottomUp}
DRAWS = 2**12


@functools.cache
def traces(kind, order):
    """Many draws with what is known of each, and the same latents walked in generative order."""

    @jax.jit
    @jax.vmap
    def one(key):
        chain = Pair(KINDS[kind], weights_of())
        trace = walk(ORDERS[order](chain, BATCH), sampled(key), BATCH)
        joint = walk(Generation(chain, 2), given(trace.latents), BATCH)
        sites = {
            name: {
                "log_q": site.log_q,
                "own_log_q": site.posterior.log_prob(site.draw),
                "log_mask": site.log_mask,
                "log_prior": site.log_prior,
                "kl": site.kl,
                "mask_kl": site.mask_kl,
                "mask_ratio": site.log_mask - site.prior.mask_log_prob(site.draw.mask),
            }
            for name, site in trace.sites.items()
        }
        by_joint = joint.log_likelihood + sum(site.log_prior for site in joint.sites.values())
        return {"log_weight": trace.log_weight, "by_joint": by_joint, "latents": trace.latents, "sites": sites}

    return jax.device_get(one(jax.random.split(jax.random.key(3), DRAWS)))


CASES = [("categorical", "top_down"), ("bernoulli", "bottom_up")]


@pytest.mark.parametrize(("kind", "order"), CASES)
def test_the_weight_of_a_trace_is_that_of_the_joint_and_of_the_posteriors(kind, order):
    found = traces(kind, order)
    log_q = sum(site["own_log_q"] for site in found["sites"].values())
    np.testing.assert_allclose(found["log_weight"], found["by_joint"] - log_q, rtol=1e-4, atol=1e-4)
    for site in found["sites"].values():
        np.testing.assert_allclose(site["log_q"], site["own_log_q"], rtol=1e-5)
        assert (site["log_mask"] <= 0).all()


@pytest.mark.parametrize(("kind", "order"), CASES)
def test_the_kl_of_a_latent_has_the_mean_of_its_log_ratio_and_so_has_that_of_its_masks(kind, order):
    for site in traces(kind, order)["sites"].values():
        assert_same_mean(site["kl"] - (site["log_q"] - site["log_prior"]), 0.0)
        assert_same_mean(site["mask_kl"] - site["mask_ratio"], 0.0)
        assert np.abs(site["mask_kl"]).max() > 0.01


@pytest.mark.parametrize("order", ORDERS)
def test_what_depends_on_latents_drawn_later_is_deferred(order):
    chain = Pair(KINDS["categorical"], weights_of())
    trace = jax.jit(lambda key: walk(ORDERS[order](chain, BATCH), sampled(key), BATCH))(jax.random.key(0))
    first, second = (trace.sites[name] for name in Pair.latents)
    assert second.deferred is None or order == "bottom_up"
    assert first.deferred is None
    if order == "bottom_up":
        np.testing.assert_allclose(second.deferred, -second.log_prior, rtol=1e-6)
        np.testing.assert_allclose(second.kl, second.posterior.negative_entropy() - second.log_prior, rtol=1e-5)
        np.testing.assert_allclose(first.kl, first.posterior.kl(first.prior), rtol=1e-6)
    else:
        np.testing.assert_allclose(second.kl, second.posterior.kl(second.prior), rtol=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_without_a_key_each_latent_is_at_the_center_of_its_posterior(order):
    chain = Pair(KINDS["categorical"], weights_of())
    trace = jax.jit(lambda: walk(ORDERS[order](chain, BATCH), centered, BATCH))()
    for site in trace.sites.values():
        np.testing.assert_allclose(site.draw.mask, jax.nn.softmax(site.posterior.logits), rtol=1e-6)
        np.testing.assert_array_equal(site.draw.value, site.posterior.values.loc)


def test_some_latents_may_be_given_and_the_others_are_drawn_below_them():
    chain = Pair(KINDS["categorical"], weights_of())

    @jax.jit
    def generate(key, latents):
        return walk(Generation(chain, 2), given(latents, key if key is None else sampled(key)))

    all_of = generate(jax.random.key(0), {})
    again = generate(jax.random.key(0), {"first": all_of.latents["first"]})
    # The key of a latent is that of its place, whatever was given before it.
    jax.tree.map(np.testing.assert_array_equal, again.latents, all_of.latents)
    other = generate(jax.random.key(1), {"second": all_of.latents["second"]})
    jax.tree.map(np.testing.assert_array_equal, other.latents["second"], all_of.latents["second"])
    assert np.abs(other.latents["first"].value - all_of.latents["first"].value).max() > 0.01
    with_none = generate(None, all_of.latents)
    np.testing.assert_array_equal(with_none.pixels.base_dist.logits, all_of.pixels.base_dist.logits)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_at_a_temperature_are_those_of_their_logits_over_it(kind):
    chain = Pair(KINDS[kind], weights_of())
    logits = chain.prior_of("first", chain.begin(2)).logits

    @jax.jit
    @jax.vmap
    def first(key, temperature):
        return walk(Generation(chain, 2), tempered(key, jnp.stack([temperature, 1.0]))).latents["first"].mask

    for temperature in (0.4, 0.0):
        masks = np.asarray(first(jax.random.split(jax.random.key(0), DRAWS), jnp.full(DRAWS, temperature)))
        if temperature:
            assert set(np.unique(masks)) == {0.0, 1.0}
        assert_same_mean(masks, KINDS[kind].probs(logits / (temperature or 1.0)))


def test_a_value_at_zero_or_across_it_is_scored():
    """No mask is told from a value: a chain moved through 0 stays where it was."""
    chain = Pair(KINDS["bernoulli"], weights_of())
    latents = walk(Generation(chain, 2), sampled(jax.random.key(0))).latents

    @jax.jit
    @jax.vmap
    def score(value):
        moved = {**latents, "first": latents["first"]._replace(value=jnp.full((2, 2), value), mask=jnp.ones((2, 2)))}
        trace = walk(Generation(chain, 2), given(moved), BATCH)
        return trace.log_likelihood + sum(site.log_prior for site in trace.sites.values())

    found = np.float64(score(jnp.linspace(-1e-3, 1e-3, 5)))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.diff(found, 2, axis=0), 0.0, atol=2e-3)  # smooth: 0 is no other place


class ToBeFound(AbstractPosterior):
    """N(z; features, 1), which hands back the joint density of its draw as if it were the KL."""

    needs_log_joint: ClassVar[bool] = True

    def __call__(self, key, hidden, prior, log_joint=None):
        latent = hidden + jax.random.normal(key, hidden.shape)
        return PosteriorDraw(latent, standard_log_prob(latent - hidden), log_joint(latent))

    def center(self, hidden):
        return hidden


def standard_log_prob(x):
    return dist.Normal(0.0, 1.0).log_prob(x).sum(-1)


class OneCode:
    """One code z ~ N(0, 1) and three pixels of logit z."""

    image_shape, latents, mask_sites = (3,), ("z",), ()

    def __init__(self, family):
        self.family = family

    def inputs(self, images):
        return images.astype(jnp.float32)

    def encode(self, batch):
        return batch.image[:, :1].astype(jnp.float32)

    def begin(self, count):
        return count

    def prior_of(self, name, hidden):
        return standard((hidden, 1))

    def posterior_of(self, name, features, hidden, prior, step):
        return Amortized(self.family, features)

    def advance(self, name, hidden, latent):
        return latent.product

    def pixels(self, hidden):
        return dist.BernoulliLogits(jnp.broadcast_to(hidden, (len(hidden), 3))).to_event(1)


def test_a_family_that_needs_the_joint_density_is_handed_it():
    trace = walk(TopDown(OneCode(ToBeFound(1)), BATCH), sampled(jax.random.key(0)), BATCH)
    z, image = np.float64(trace.latents["z"].value), np.float64(BATCH.image)
    p = 1 / (1 + np.exp(-z))
    log_joint = stats.bernoulli.logpmf(image, p).sum(-1) + stats.norm.logpdf(z[:, 0])
    np.testing.assert_allclose(trace.sites["z"].kl, log_joint, rtol=1e-4)
    np.testing.assert_allclose(trace.log_weight, log_joint - stats.norm.logpdf(z - image[:, :1])[:, 0], rtol=1e-4)
    assert trace.sites["z"].posterior is None


def test_a_family_without_a_closed_divergence_gets_an_unbiased_one():
    class Shifted(AbstractPosterior):
        def __call__(self, key, hidden, prior, log_joint=None):
            assert log_joint is None
            noise = jax.random.normal(key, hidden.shape)
            return PosteriorDraw(0.6 + 0.5 * noise, standard_log_prob(noise) - jnp.log(0.5), None)

    @jax.jit
    @jax.vmap
    def kl(key):
        return walk(TopDown(OneCode(Shifted(1)), BATCH), sampled(key), BATCH).sites["z"].kl

    expected = 0.5 * (0.5**2 + 0.6**2 - 1 - np.log(0.5**2))
    assert_same_mean(np.asarray(kl(jax.random.split(jax.random.key(0), DRAWS))), expected)


def test_what_is_observed_is_drawn_evenly_only_where_it_is_not_given():
    labels = jnp.asarray([2, 0, 1], jnp.int32)
    np.testing.assert_array_equal(Observed(labels, 3, 3).draw(None).value, labels)
    drawn = np.asarray(Observed(None, 3000, 3).draw(jax.random.key(0)).value)
    assert stats.chisquare(np.bincount(drawn, minlength=3)).pvalue > 1e-3


def test_masks_and_values_do_not_share_their_noise():
    """Of a latent, and of one latent and the next, where these do not depend on one another."""
    chain = Pair(KINDS["categorical"], jax.tree.map(jnp.zeros_like, weights_of()))

    @jax.jit
    @jax.vmap
    def one(key):
        latents = walk(TopDown(chain, BATCH), sampled(key), BATCH).latents
        return jnp.concatenate([leaf[0].ravel() for name in chain.latents for leaf in latents[name]])

    numbers = np.asarray(one(jax.random.split(jax.random.key(2), DRAWS)))  # values and masks of 4, then of 2
    correlation = np.corrcoef(numbers.T)
    # The alternatives of one mask exclude each other; no two other numbers know of each other.
    for one_of, other in ((4, 5), (6, 7), (10, 11)):
        assert correlation[one_of, other] < -0.9
        correlation[one_of, other] = correlation[other, one_of] = 0.0
    assert np.abs(correlation - np.eye(12)).max() < 4.7 / np.sqrt(DRAWS)
