import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.gradients import ARMS, BERNOULLI, CARMS, CATEGORICAL, RLOO
from ctc_jax.gradients.carms import log_weights
from ctc_jax.gradients.stick_breaking import broken
from tests.gradients.conftest import build, gradient, gradients

KEYS = 2**14
LOGITS = np.array([0.3, -1.0, 0.8, -2.5])


def moments(draws):
    """Means and variances of numbers over draws, each with its standard error."""
    draws = np.asarray(draws, np.float64).reshape(len(draws), -1)
    squares = (draws - draws.mean(axis=0)) ** 2
    return [(of.mean(axis=0), of.std(axis=0) / np.sqrt(len(of))) for of in (draws, squares)]


@pytest.mark.parametrize("samples", [2, 3])
def test_masks_have_their_probabilities_and_pairs_those_that_the_weights_divide_by(samples):
    """By how often each category is drawn, read from the decimals of the value of one reward."""

    def drawn(key):
        estimate = CARMS(samples=samples)(
            key,
            jnp.asarray(LOGITS, jnp.float32)[None, None],
            lambda mask: mask[:, 0] @ jnp.array([1.0, 10.0, 100.0, 1000.0]),
            kind=CATEGORICAL,
        )
        return estimate.value[0] * samples

    sums = np.rint(np.asarray(jax.jit(jax.vmap(drawn))(jax.random.split(jax.random.key(0), KEYS)))).astype(int)
    counts = np.stack([(sums // 10**place) % 10 for place in range(4)], axis=1)
    probs = np.exp(LOGITS) / np.exp(LOGITS).sum()
    mean, error = counts.mean(axis=0) / samples, counts.std(axis=0) / samples / np.sqrt(KEYS)
    np.testing.assert_array_less(np.abs(mean - probs), 4.5 * error)
    order, sticks = broken(jnp.asarray(LOGITS, jnp.float32))
    weights = np.exp(np.asarray(log_weights(jax.nn.log_sigmoid(sticks), samples), np.float64))
    place = np.argsort(np.asarray(order))
    for a in range(4):
        for b in range(a):
            of_pairs = counts[:, a] * counts[:, b] / (samples * (samples - 1))
            expected = probs[a] * probs[b] / weights[min(place[a], place[b])]
            assert abs(of_pairs.mean() - expected) < 4.5 * of_pairs.std() / np.sqrt(KEYS), (a, b)


@pytest.mark.parametrize("samples", [2, 4])
def test_two_categories_are_arms_in_mean_and_variance(samples):
    logit, weights = jnp.array([[0.7, -1.5, 0.1]]), jnp.array([[1.0, -2.0, 0.5]])

    def reward(masks):
        return jnp.sum(masks * weights, axis=-1) ** 2 + jnp.prod(1.0 + masks, axis=-1)

    def binary(key):
        return jax.grad(lambda at: ARMS(samples=samples)(key, at, reward, kind=BERNOULLI).surrogate.sum())(logit)

    def categorical(key):
        def surrogate(at):
            both = jnp.stack([at, jnp.zeros_like(at)], axis=-1)
            estimate = CARMS(samples=samples)(key, both, lambda m: reward(m[..., 0]), kind=CATEGORICAL)
            return estimate.surrogate.sum()

        return jax.grad(surrogate)(logit)

    found = [
        moments(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), KEYS)))
        for seed, one in ((0, binary), (1, categorical))
    ]
    for (one, error), (other, other_error) in zip(*found, strict=True):
        np.testing.assert_array_less(np.abs(one - other), 4.5 * np.hypot(error, other_error))


@pytest.mark.parametrize("samples", [2, 4])
def test_it_varies_less_than_independent_masks(samples):
    problem = build("categorical", (2, 2, 3), "values")
    ours, independent = (
        np.asarray(gradients(problem, part(samples=samples), keys=2**12)[0][0]).var(axis=0).sum()
        for part in (CARMS, RLOO)
    )
    assert ours < independent


def test_gradients_are_finite_at_logits_beyond_rounding_and_sum_to_zero():
    logits = jnp.array([[[-300.0, 0.0, 300.0], [0.0, 0.0, 0.0]]])

    def surrogate(at):
        reward = lambda m: m[:, 0, 0] + m[:, 1, 2]  # noqa: E731
        return CARMS(samples=3)(jax.random.key(0), at, reward, kind=CATEGORICAL).surrogate.sum()

    moved = np.asarray(gradient(surrogate)(logits))
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(moved.sum(axis=-1), 0.0, atol=1e-5)
