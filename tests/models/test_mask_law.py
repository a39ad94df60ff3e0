import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from ctc_jax.models.mask_law import MaskLaw, MaskShape
from scipy import stats

from ctc_jax.gradients import BERNOULLI, CATEGORICAL
from ctc_jax.layers.neighborhood_schedule import NeighborhoodSchedule
from ctc_jax.layers.som_pooling import SOMPooling, neighborhood

PLACES, CATEGORIES, COUNT = 2, 3, 20_000
SHAPES = {
    "bernoulli": MaskShape(BERNOULLI, PLACES, CATEGORIES, False),
    "categorical": MaskShape(CATEGORICAL, PLACES, CATEGORIES, False),
    "bernoulli_ctc": MaskShape(BERNOULLI, PLACES, CATEGORIES, True),
    "ctc": MaskShape(CATEGORICAL, PLACES, CATEGORIES, True),
}


def law(name, seed=0, count=1):
    parameters = jax.random.normal(jax.random.key(seed), (1, SHAPES[name].parameters))
    return SHAPES[name].law(jnp.broadcast_to(parameters, (count, SHAPES[name].parameters)))


def every_mask(name):
    """Of one example, [masks, *shape]."""
    shape = SHAPES[name]
    choices = [0.0, 1.0] if shape.kind is BERNOULLI else np.eye(CATEGORIES)
    return np.array(list(itertools.product(choices, repeat=PLACES)), np.float32)


def mask_log_probs(name, of):
    return np.asarray(of.kind.total_log_prob(of.logits, jnp.asarray(every_mask(name))), np.float64)


@pytest.mark.parametrize("name", SHAPES)
def test_masks_come_with_their_probabilities_and_values_with_their_density(name):
    many = law(name, count=COUNT)
    latent = many.sample(jax.random.key(1))
    masks = every_mask(name).reshape(-1, SHAPES[name].entries)
    drawn = np.asarray(latent != 0, np.float32).reshape(COUNT, -1)
    counts = (drawn[:, None] == masks[None]).all(-1).sum(axis=0)
    probs = np.exp(mask_log_probs(name, law(name, count=len(masks))))
    np.testing.assert_allclose(probs.sum(), 1.0, rtol=1e-5)
    assert stats.chisquare(counts, COUNT * probs / probs.sum()).pvalue > 1e-3
    if SHAPES[name].valued:
        entry = (0, 0) if SHAPES[name].kind is BERNOULLI else (0, 0, 0)
        seen = np.asarray(latent[:, *entry[1:]])
        loc, scale = (float(moment[entry]) for moment in (many.values.loc, many.values.scale))
        assert stats.kstest(seen[seen != 0], stats.norm(loc, scale).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", SHAPES)
def test_log_prob_is_that_of_the_mask_and_of_the_values_it_selects(name):
    one, latent = law(name), law(name).sample(jax.random.key(2))
    mask = np.asarray(latent != 0, np.float64)
    logits = np.asarray(one.logits, np.float64)
    if SHAPES[name].kind is BERNOULLI:
        of_mask = stats.bernoulli.logpmf(mask, 1 / (1 + np.exp(-logits))).sum()
    else:
        of_mask = (mask * (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))).sum()
    expected = of_mask
    if SHAPES[name].valued:
        expected = of_mask + (mask * stats.norm.logpdf(latent, one.values.loc, one.values.scale)).sum()
    np.testing.assert_allclose(one.log_prob(latent)[0], expected, rtol=1e-5)
    np.testing.assert_allclose(one.mask_log_prob(latent)[0], of_mask, rtol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_the_divergence_is_the_mean_log_ratio(name):
    q, p = law(name, 0, COUNT), law(name, 5, COUNT)
    latent = q.sample(jax.random.key(3))
    ratio = np.asarray(q.log_prob(latent) - p.log_prob(latent), np.float64)
    assert abs(ratio.mean() - float(q.kl(p)[0])) < 4.5 * ratio.std() / np.sqrt(COUNT)
    np.testing.assert_allclose(q.kl(q)[0], 0.0, atol=1e-6)
    if not SHAPES[name].valued:  # by every mask, without noise
        log_q, log_p = (mask_log_probs(name, law(name, seed, len(every_mask(name)))) for seed in (0, 5))
        np.testing.assert_allclose(q.kl(p)[0], (np.exp(log_q) * (log_q - log_p)).sum(), rtol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_the_mean_is_that_of_samples(name):
    many = law(name, count=COUNT)
    latent = np.asarray(many.sample(jax.random.key(4)), np.float64)
    error = latent.std(axis=0) / np.sqrt(COUNT)
    np.testing.assert_array_less(np.abs(latent.mean(axis=0) - np.asarray(many.mean[0])), 4.5 * error + 1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_parameters_of_zero_are_uniform_masks_times_standard_normal_values(name):
    shape = SHAPES[name]
    zero = shape.law(jnp.zeros((1, shape.parameters)))
    np.testing.assert_allclose(zero.kind.probs(zero.logits), 0.5 if shape.kind is BERNOULLI else 1 / 3, rtol=1e-6)
    if shape.valued:
        np.testing.assert_array_equal(zero.values.loc, 0.0)
        np.testing.assert_array_equal(zero.values.scale, 1.0)


def test_pooled_masks_and_values_are_those_of_the_neighborhood_and_none_at_the_end():
    pooling = SOMPooling(NeighborhoodSchedule(1.5, 0.0, 10))
    one = law("ctc")
    grid = np.asarray(neighborhood(CATEGORIES, 1.5), np.float64)
    pooled = one.pooled(pooling, jnp.asarray(0))
    np.testing.assert_allclose(
        CATEGORICAL.probs(pooled.logits)[0], np.asarray(CATEGORICAL.probs(one.logits)[0]) @ grid.T, rtol=1e-5
    )
    np.testing.assert_allclose(pooled.values.loc[0], np.asarray(one.values.loc[0]) @ grid.T, rtol=1e-5, atol=1e-6)
    variance = np.asarray(one.values.scale[0], np.float64) ** 2 @ (grid**2).T
    np.testing.assert_allclose(pooled.values.scale[0] ** 2, variance, rtol=1e-5)
    for step in (None, jnp.asarray(10)):
        np.testing.assert_allclose(one.pooled(pooling, step).mean, one.mean, rtol=1e-6)
    masks = law("categorical")
    np.testing.assert_allclose(
        masks.pooled(pooling, jnp.asarray(0)).mean[0], np.asarray(masks.mean[0]) @ grid.T, rtol=1e-5
    )


@pytest.mark.parametrize("name", SHAPES)
def test_of_a_mask_and_its_values_the_log_prob_is_that_of_their_product(name):
    one = law(name)
    values = one.draw_values(jax.random.key(3))
    for mask in every_mask(name)[:4]:
        mask = jnp.asarray(mask)[None]
        np.testing.assert_allclose(one.log_prob_of(mask, values), one.log_prob(mask * values), rtol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_of_a_relaxed_mask_it_is_linear_in_the_mask_and_so_are_its_gradients(name):
    """log q and log f of the alternatives, weighted; and what of them each mask and each value decides."""
    one = law(name)
    mask = one.kind.probs(jax.random.normal(jax.random.key(5), one.logits.shape))
    values = one.draw_values(jax.random.key(3))
    logits, weight, drawn = (np.asarray(of, np.float64) for of in (one.logits, mask, values))
    if SHAPES[name].kind is BERNOULLI:
        # A gate that is closed has log q as well: the weight of the open one counts from there.
        of_mask, closed = logits, -np.log1p(np.exp(logits)).sum()
    else:
        of_mask, closed = logits - np.log(np.exp(logits).sum(-1, keepdims=True)), 0.0
    of_value, slope = np.zeros_like(drawn), np.zeros_like(drawn)
    if SHAPES[name].valued:
        loc, scale = (np.asarray(of, np.float64) for of in (one.values.loc, one.values.scale))
        of_value, slope = stats.norm.logpdf(drawn, loc, scale), -weight * (drawn - loc) / scale**2
    value, (by_mask, by_value) = jax.value_and_grad(lambda *of: one.log_prob_of(*of)[0], argnums=(0, 1))(mask, values)
    np.testing.assert_allclose(value, closed + (weight * (of_mask + of_value)).sum(), rtol=1e-5)
    np.testing.assert_allclose(by_mask, of_mask + of_value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_value, slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [BERNOULLI, CATEGORICAL])
def test_a_value_that_rounds_to_nothing_still_shows_its_mask(kind):
    zeros = jnp.zeros((50, 3))
    nothing = dist.Normal(zeros, zeros, validate_args=False)
    latent = MaskLaw(kind, zeros + 2.0, nothing).sample(jax.random.key(0))
    mask = kind.sample(jax.random.split(jax.random.key(0))[0], zeros + 2.0)[0]
    np.testing.assert_array_equal(latent != 0, mask)
    assert np.abs(latent).max() < 1e-30


@pytest.mark.parametrize("name", SHAPES)
def test_the_negative_entropy_is_the_mean_of_log_prob(name):
    many = law(name, count=COUNT)
    drawn = np.asarray(many.log_prob(many.sample(jax.random.key(4))), np.float64)
    assert abs(drawn.mean() - float(many.negative_entropy()[0])) < 4.5 * drawn.std() / np.sqrt(COUNT)


@pytest.mark.parametrize("name", SHAPES)
def test_alternatives_of_each_place_have_probabilities_that_sum_to_one(name):
    found = np.asarray(law(name).alternatives())
    assert found.shape == (1, PLACES, 2 if SHAPES[name].kind is BERNOULLI else CATEGORIES)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(
        found[..., 0].ravel(), np.asarray(law(name).kind.probs(law(name).logits)).reshape(PLACES, -1)[:, 0], rtol=1e-6
    )
