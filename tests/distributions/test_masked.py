"""Masks times values of every kind, on two masks: sums over all masks, scipy's densities, many draws."""

import functools
import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats
from scipy.special import log_expit, log_softmax

from ctc_jax.distributions import BERNOULLI, CATEGORICAL
from ctc_jax.distributions.masked import Masked, MaskedDistribution, standard

MASKS, CATEGORIES, COUNT = 2, 3, 2**14
# Kind, whether masks multiply values, and whether there is an off state.
CASES = {
    "bernoulli": (BERNOULLI, False, False),
    "categorical": (CATEGORICAL, False, False),
    "bernoulli_ctc": (BERNOULLI, True, False),
    "ctc": (CATEGORICAL, True, False),
    "off": (CATEGORICAL, True, True),
    "gaussian": (None, True, False),
}
MASKED = [name for name, (kind, _, _) in CASES.items() if kind]
VALUED = [name for name, (_, valued, _) in CASES.items() if valued]


def shape_of(name):
    """Of one example's values."""
    return (MASKS, CATEGORIES) if CASES[name][0] is CATEGORICAL else (MASKS,)


def distribution(name, seed=0, count=1):
    """A batch of equal distributions."""
    kind, valued, off = CASES[name]
    shape, random = shape_of(name), np.random.default_rng(seed)

    def numbers(shape):
        return jnp.broadcast_to(jnp.asarray(random.normal(size=shape), jnp.float32), (count, *shape))

    logits = numbers((*shape[:-1], shape[-1] + off))
    values = dist.Normal(numbers(shape), jnp.exp(0.5 * numbers(shape)))
    return MaskedDistribution(kind, logits if kind else None, values if valued else None)


@functools.cache
def drawn(name):
    """Many draws of q, and what is known of q and p there, in float64."""

    @jax.jit
    def answers(key):
        q, p = (distribution(name, seed, COUNT) for seed in (0, 1))
        draw = q.sample(key)
        known = {"kl": q.kl(p), "self": q.kl(q), "negative_entropy": q.negative_entropy(), "center": q.center.product}
        at = {"log_q": q.log_prob(draw), "log_p": p.log_prob(draw)}
        at["log_unselected"] = q.log_unselected(draw)
        if q.kind:
            at["log_mask"] = q.mask_log_prob(draw.mask)
        return {"draw": draw, "product": draw.product, **at, **{of: known[of][0] for of in known}}

    found = jax.device_get(answers(jax.random.key(3)))
    return SimpleNamespace(**jax.tree.map(np.float64, found))


@functools.cache
def every_mask(name):
    """Of one example, `[masks, *shape]`."""
    kind, _, off = CASES[name]
    alternatives = [0.0, 1.0] if kind is BERNOULLI else np.eye(CATEGORIES + off)
    return np.array(list(itertools.product(alternatives, repeat=MASKS)))


def mask_log_probs(name, of):
    """By scipy, of every mask."""
    logits, masks = np.asarray(of.logits[0], np.float64), every_mask(name)
    if CASES[name][0] is BERNOULLI:
        return (masks * log_expit(logits) + (1 - masks) * log_expit(-logits)).sum(-1)
    return (masks * log_softmax(logits, axis=-1)).sum((-2, -1))


def selected(mask, values):
    return mask[..., : values.shape[-1]] * values


def assert_mean(samples, expected):
    """Within 4.5 standard errors."""
    error = samples.std(axis=0) / np.sqrt(len(samples))
    np.testing.assert_array_less(np.abs(samples.mean(axis=0) - expected), 4.5 * error + 1e-5)


@pytest.mark.parametrize("name", MASKED)
def test_masks_come_with_their_probabilities(name):
    probs = np.exp(mask_log_probs(name, distribution(name)))
    seen = drawn(name).draw.mask.reshape(COUNT, 1, -1) == every_mask(name).reshape(1, len(probs), -1)
    counts = seen.all(-1).sum(axis=0)
    assert counts.sum() == COUNT
    assert stats.chisquare(counts, COUNT * probs / probs.sum()).pvalue > 1e-3


@pytest.mark.parametrize("name", VALUED)
def test_values_have_their_density_whatever_the_masks(name):
    of = distribution(name)
    loc, scale = (np.asarray(moment[0], np.float64) for moment in (of.values.loc, of.values.scale))
    for place in np.ndindex(loc.shape):
        value = drawn(name).draw.value[(slice(None), *place)]
        assert stats.kstest(value, stats.norm(loc[place], scale[place]).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_log_prob_is_that_of_the_mask_and_of_the_values_it_selects(name):
    of, found = distribution(name), drawn(name)
    expected = np.zeros(COUNT)
    if CASES[name][0]:
        which = (found.draw.mask.reshape(COUNT, 1, -1) == every_mask(name).reshape(1, -1, found.draw.mask[0].size)).all(
            -1
        )
        expected = mask_log_probs(name, of)[which.argmax(-1)]
        np.testing.assert_allclose(found.log_mask, expected, rtol=1e-4, atol=1e-5)
    if CASES[name][1]:
        density = stats.norm.logpdf(found.draw.value, of.values.loc[0], of.values.scale[0])
        density = density if found.draw.mask is None else selected(found.draw.mask, density)
        expected = expected + density.reshape(COUNT, -1).sum(-1)
    np.testing.assert_allclose(found.log_q, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_kl_is_the_mean_log_ratio_and_entropy_the_mean_log(name):
    found = drawn(name)
    assert_mean(found.log_q - found.log_p, found.kl)
    assert_mean(found.log_q, found.negative_entropy)
    np.testing.assert_allclose(found.self, 0.0, atol=1e-6)


@pytest.mark.parametrize("name", MASKED)
def test_kl_has_its_closed_form_by_every_mask(name):
    q, p = (distribution(name, seed) for seed in (0, 1))
    log_q, log_p = (mask_log_probs(name, of) for of in (q, p))
    of_masks = (np.exp(log_q) * (log_q - log_p)).sum()
    np.testing.assert_allclose(q.masks.kl(p.masks)[0], of_masks, rtol=1e-4)
    expected = of_masks
    if CASES[name][1]:
        (loc, other), (scale, wide) = (
            [np.asarray(getattr(of.values, part)[0], np.float64) for of in (q, p)] for part in ("loc", "scale")
        )
        of_values = np.log(wide / scale) + (scale**2 + (loc - other) ** 2) / (2 * wide**2) - 0.5
        mean_mask = np.einsum("m,m...->...", np.exp(log_q), every_mask(name))
        expected = of_masks + selected(mean_mask, of_values).sum()
    np.testing.assert_allclose(drawn(name).kl, expected, rtol=1e-4)
    places = q.kl_of_each(p)
    assert places.shape == (1, MASKS)
    np.testing.assert_allclose(places.sum(), expected, rtol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_the_center_has_the_mean_product(name):
    assert_mean(drawn(name).product, drawn(name).center)


@pytest.mark.parametrize("name", MASKED)
def test_alternatives_of_each_mask_have_probabilities(name):
    found, of = distribution(name).categories, distribution(name)
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-6)
    expected = (
        1 / (1 + np.exp(-np.float64(of.logits)))
        if CASES[name][0] is BERNOULLI
        else np.exp(log_softmax(np.float64(of.logits), axis=-1))[..., 0]
    )
    np.testing.assert_allclose(found[..., 0], expected, rtol=1e-5)
    assert found.shape == (1, MASKS, 2 if CASES[name][0] is BERNOULLI else of.logits.shape[-1])


@pytest.mark.parametrize("name", VALUED)
def test_values_at_zero_and_across_it_are_scored_by_their_mask(name):
    """A chain that moves values crosses 0: neither the density nor its slope knows, and no mask changes there."""
    of = distribution(name)
    mask = None if of.kind is None else jnp.asarray(every_mask(name)[3], jnp.float32)[None]
    weight = np.ones(shape_of(name)) if mask is None else np.asarray(mask[0])[..., : shape_of(name)[-1]]
    assert weight.any()
    at = jnp.linspace(-1e-3, 1e-3, 5)

    def score(value):
        return of.log_prob(Masked(jnp.full((1, *shape_of(name)), value), mask))[0]

    found, slope = jax.jit(jax.vmap(jax.value_and_grad(score)))(at)
    loc, scale = (np.asarray(moment[0], np.float64) for moment in (of.values.loc, of.values.scale))
    of_mask = 0.0 if mask is None else float(of.mask_log_prob(mask)[0])
    expected = [of_mask + (weight * stats.norm.logpdf(value, loc, scale)).sum() for value in np.asarray(at, np.float64)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(
        slope, [(weight * (loc - value) / scale**2).sum() for value in np.asarray(at)], rtol=1e-3
    )


@pytest.mark.parametrize("name", MASKED)
def test_values_that_no_mask_selects_are_not_scored(name):
    of, draw = distribution(name), distribution(name).sample(jax.random.key(5))
    values = draw.value.shape[-1]
    moved = draw._replace(value=jnp.where(draw.mask[..., :values] > 0, draw.value, 1e3))
    np.testing.assert_array_equal(of.log_prob(moved), of.log_prob(draw))
    np.testing.assert_array_equal(moved.product, draw.product)


@pytest.mark.parametrize("name", MASKED)
def test_of_a_relaxed_mask_log_prob_is_linear_in_the_mask_and_so_are_its_gradients(name):
    """log q and log f of the alternatives, weighted; and what of them each mask and each value decides."""
    one, (kind, valued, _) = distribution(name), CASES[name]
    mask = kind.probs(jax.random.normal(jax.random.key(5), one.logits.shape))
    values = one.draw_values(jax.random.key(3))
    logits, weight, drawn_values = (np.asarray(of, np.float64) for of in (one.logits, mask, values))
    if kind is BERNOULLI:
        # A gate that is closed has log q as well: the weight of the open one counts from there.
        by_mask, closed = logits.copy(), log_expit(-logits).sum()
    else:
        by_mask, closed = log_softmax(logits, axis=-1), 0.0
    slope = np.zeros_like(drawn_values)
    if valued:
        loc, scale = (np.asarray(of, np.float64) for of in (one.values.loc, one.values.scale))
        by_mask[..., : drawn_values.shape[-1]] += stats.norm.logpdf(drawn_values, loc, scale)
        slope = -selected(weight, (drawn_values - loc) / scale**2)

    def score(mask, values):
        return one.log_prob(Masked(values, mask))[0]

    value, found = jax.value_and_grad(score, argnums=(0, 1))(mask, values)
    np.testing.assert_allclose(value, closed + (weight * by_mask).sum(), rtol=1e-5)
    np.testing.assert_allclose(found[0], by_mask, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], slope, rtol=1e-4, atol=1e-5)


def test_a_sample_has_gradients_in_the_parameters_of_its_values_alone():
    q = distribution("ctc")

    @jax.jit
    def gradients(q):
        return jax.vjp(lambda q: q.sample(jax.random.key(1)).product, q)[1](jnp.ones((1, MASKS, CATEGORIES)))

    (of,) = gradients(q)
    mask = q.sample(jax.random.key(1)).mask
    np.testing.assert_array_equal(of.logits, 0.0)
    np.testing.assert_array_equal(of.values.loc, mask)


@pytest.mark.parametrize("name", ["bernoulli_ctc", "ctc", "off"])
def test_certain_values_cost_nothing_beside_their_masks(name):
    q, p = (distribution(name, seed) for seed in (0, 1))
    certain = dist.Delta(q.values.loc)
    q, p = (MaskedDistribution(of.kind, of.logits, certain) for of in (q, p))
    np.testing.assert_allclose(q.kl(p), q.masks.kl(p.masks), rtol=1e-6)
    draw = q.sample(jax.random.key(0))
    np.testing.assert_array_equal(draw.value, certain.v)
    np.testing.assert_allclose(q.log_prob(draw), q.mask_log_prob(draw.mask), rtol=1e-6)


def test_it_is_a_pytree_whose_kind_is_static():
    for name in CASES:
        of = distribution(name)
        again = jax.jit(lambda of: of)(of)
        assert again.kind is of.kind
        jax.tree.map(np.testing.assert_array_equal, again, of)


def test_the_standard_latent_is_standard_normal():
    of = standard((2, 3))
    x = np.random.default_rng(0).normal(size=(2, 3))
    found = jax.jit(lambda x: standard((2, 3)).log_prob(Masked(x)))(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, stats.norm.logpdf(x).sum(1), rtol=1e-5)
    np.testing.assert_array_equal(of.center.product, 0.0)
    loc, scale = np.array([[0.5, -1.0, 2.0]]), np.array([[0.3, 2.0, 1.0]])
    q = MaskedDistribution(None, None, dist.Normal(jnp.asarray(loc, jnp.float32), jnp.asarray(scale, jnp.float32)))
    expected = 0.5 * (scale**2 + loc**2 - 1.0 - 2.0 * np.log(scale)).sum()
    np.testing.assert_allclose(q.kl(standard((1, 3)))[0], expected, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_beside_the_selected_values_the_others_make_a_density_of_all(name):
    """Of masks times all values, each scored whether a mask selects it or not."""
    of, found = distribution(name, count=COUNT), drawn(name)
    expected = np.zeros(COUNT)
    if of.kind:
        expected += found.log_mask
    if of.values:
        loc, scale = (np.float64(getattr(of.values, part)) for part in ("loc", "scale"))
        expected += stats.norm.logpdf(found.draw.value, loc, scale).reshape(COUNT, -1).sum(axis=1)
    np.testing.assert_allclose(found.log_q + found.log_unselected, expected, atol=2e-5)
