import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import softmax

from ctc_jax.distributions import BERNOULLI, CATEGORICAL
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.layers import NeighborhoodSchedule, SOMPooling
from ctc_jax.layers.som_pooling import grid_shape, neighborhood
from tests.layers.conftest import assert_close_to_mean, with_gradient

LOGITS, VALUES = jax.random.normal(jax.random.key(0), (2, 2, 3, 6))


def pooling(sigma):
    return SOMPooling(NeighborhoodSchedule(end=sigma))


def dense_neighborhood(categories, sigma):
    """G from its definition, category by category."""
    _, columns = grid_shape(categories)
    places = [(k // columns, k % columns) for k in range(categories)]
    weights = np.array([[np.exp(-((i[0] - j[0]) ** 2 + (i[1] - j[1]) ** 2) / sigma) for j in places] for i in places])
    return weights / weights.sum(axis=0)


@pytest.mark.parametrize(
    ("categories", "shape"), [(16, (4, 4)), (12, (3, 4)), (8, (2, 4)), (7, (1, 7)), (2, (1, 2)), (4096, (64, 64))]
)
def test_the_grid_is_the_factorization_nearest_a_square(categories, shape):
    assert grid_shape(categories) == shape


@pytest.mark.parametrize("categories", [6, 7, 16])
@pytest.mark.parametrize("sigma", [0.3, 2.0, 50.0])
def test_the_neighborhood_is_the_normalized_gaussian_of_the_definition(categories, sigma):
    found = neighborhood(categories, sigma)
    np.testing.assert_allclose(found, dense_neighborhood(categories, sigma), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.4, 3.0])
def test_probabilities_and_values_are_multiplied_by_the_neighborhood(sigma):
    logits, values = jax.jit(pooling(sigma))(LOGITS, VALUES)
    matrix = dense_neighborhood(6, sigma)
    probs = np.einsum("ij,bdj->bdi", matrix, softmax(np.float64(LOGITS), axis=-1))
    np.testing.assert_allclose(jax.nn.softmax(logits), probs, rtol=1e-4)
    np.testing.assert_allclose(values, np.einsum("ij,bdj->bdi", matrix, np.float64(VALUES)), rtol=1e-4, atol=1e-6)


def test_gradients_are_those_of_the_definition():
    matrix = jnp.asarray(dense_neighborhood(6, 1.0), jnp.float32)
    weights = jax.random.normal(jax.random.key(2), (2, 3, 6))

    def ours(logits, values):
        logits, values = pooling(1.0)(logits, values)
        return jnp.sum(weights * jax.nn.softmax(logits) * values)

    def definition(logits, values):
        probs = jnp.einsum("ij,bdj->bdi", matrix, jax.nn.softmax(logits))
        return jnp.sum(weights * probs * jnp.einsum("ij,bdj->bdi", matrix, values))

    for found, expected in zip(
        *(jax.jit(jax.grad(of, (0, 1)))(LOGITS, VALUES) for of in (ours, definition)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("at_step", [False, True])
def test_sigma_zero_is_the_identity_exactly_in_value_and_gradient(at_step):
    layer = SOMPooling(NeighborhoodSchedule(2.0, 0.0, 10)) if at_step else pooling(0.0)

    given, cotangents = (LOGITS, VALUES), (VALUES, LOGITS)
    pooled, gradient = with_gradient(lambda of: layer(*of, jnp.int32(10) if at_step else None), cotangents, given)
    jax.tree.map(np.testing.assert_array_equal, pooled, given)
    jax.tree.map(np.testing.assert_array_equal, gradient, cotangents)


def test_probabilities_that_underflow_keep_a_finite_logit_and_gradient():
    logits = jnp.array([0.0, -300.0, -600.0, -300.0, -600.0, -900.0])
    found, gradient = jax.jit(lambda of: jax.jvp(lambda of: pooling(0.1)(of, of)[0], (of,), (jnp.ones(6),)))(logits)
    # The nearest neighbor of the certain one takes exp(-1 / sigma) of it, less the normalization at its border.
    weights = np.exp(-(np.arange(3) ** 2) / 0.1)
    column = -10.0 - np.log(weights.sum()) - np.log(weights[:2].sum())
    np.testing.assert_allclose(found[1], column, rtol=1e-5)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(gradient, 1.0, rtol=1e-5)


def test_a_wide_neighborhood_makes_every_category_alike():
    logits, values = jax.jit(pooling(1e8))(LOGITS, VALUES)
    np.testing.assert_allclose(jax.nn.softmax(logits), 1 / 6, rtol=1e-5)
    np.testing.assert_allclose(values, np.broadcast_to(VALUES.mean(-1, keepdims=True), (2, 3, 6)), rtol=1e-4, atol=1e-6)


def test_an_off_state_keeps_its_probability():
    logits = jnp.concatenate([LOGITS, jnp.full((2, 3, 1), 0.4)], axis=-1)
    probs, pooled = (jax.nn.softmax(of) for of in (logits, pooling(1.0)(logits, VALUES)[0]))
    np.testing.assert_allclose(pooled[..., -1], probs[..., -1], rtol=1e-5)
    expected = np.einsum("ij,bdj->bdi", dense_neighborhood(6, 1.0), probs[..., :6])
    np.testing.assert_allclose(pooled[..., :6], expected, rtol=1e-4)


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_distribution_is_that_of_masked_pooled_values(deterministic):
    scale = jnp.exp(0.3 * LOGITS)
    values = dist.Delta(VALUES) if deterministic else dist.Normal(VALUES, scale)
    layer = pooling(1.0)
    pooled = layer.distribution(MaskedDistribution(CATEGORICAL, LOGITS, values))

    def by_definition(key):
        mask_key, value_key = jax.random.split(key)
        logits, pooled = layer(LOGITS, values.sample(value_key))
        mask = jax.nn.one_hot(jax.random.categorical(mask_key, logits), 6)
        return mask, mask * pooled

    masks, x = jax.jit(jax.vmap(by_definition))(jax.random.split(jax.random.key(3), 2**15))
    assert_close_to_mean(masks, pooled.center.mask)
    assert_close_to_mean(x, pooled.center.product)
    of_value = pooled.values.v**2 if deterministic else pooled.values.loc**2 + pooled.values.scale**2
    assert_close_to_mean(np.asarray(x) ** 2, np.asarray(pooled.center.mask * of_value))


@pytest.mark.parametrize("valued", [False, True])
def test_pooling_follows_its_schedule_and_ends_at_the_distribution_itself(valued):
    layer = SOMPooling(NeighborhoodSchedule(1.5, 0.0, 10))
    q = MaskedDistribution(CATEGORICAL, LOGITS, dist.Normal(VALUES, jnp.exp(0.3 * LOGITS)) if valued else None)
    grid = dense_neighborhood(6, 1.5)
    start = layer.distribution(q, jnp.int32(0))
    probs = softmax(np.float64(LOGITS), axis=-1)
    np.testing.assert_allclose(jax.nn.softmax(start.logits), probs @ grid.T, rtol=1e-4)
    if valued:
        np.testing.assert_allclose(start.values.loc, np.float64(VALUES) @ grid.T, rtol=1e-4, atol=1e-6)
        variance = np.exp(0.6 * np.float64(LOGITS)) @ (grid**2).T
        np.testing.assert_allclose(start.values.scale**2, variance, rtol=1e-4)
    for step in (None, jnp.int32(10)):
        end = layer.distribution(q, step)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), end, q)


def test_what_lies_on_no_grid_or_has_no_known_sum_is_refused():
    with pytest.raises(ValueError, match=r"^values are Gamma; allowed: Normal or Delta"):
        pooling(1.0).distribution(MaskedDistribution(CATEGORICAL, jnp.zeros(3), dist.Gamma(jnp.ones(3), 1.0)))
    with pytest.raises(ValueError, match=r"^masks are not categorical; allowed: categorical ones"):
        pooling(1.0).distribution(MaskedDistribution(BERNOULLI, jnp.zeros(3), None))
