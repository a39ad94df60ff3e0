from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.gradients import CATEGORICAL, GumbelRao, ReinMax, ReinMaxCV, ReinMaxRao

LOGITS = np.array([0.4, -0.9, 0.6])
TWO = np.array([0.8, -0.5])


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def jacobian(probs):
    return np.diag(probs) - np.outer(probs, probs)


def reinmax(probs, mask):
    return 2 * jacobian((probs + mask) / 2) - jacobian(probs) / 2


def matrices(estimator, logits, keys):
    """Of each key the mask, and the matrix that takes delta to the gradient."""

    def one(key):
        def of(logits):
            return estimator.mask(key, logits[None, None], kind=CATEGORICAL)[0, 0]

        mask, pull = jax.vjp(of, jnp.asarray(logits, jnp.float32))
        return mask, jax.vmap(lambda delta: pull(delta)[0])(jnp.eye(len(logits))).T

    masks, found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), keys))
    return np.asarray(masks, np.float64), np.asarray(found, np.float64)


def means_given(estimator, logits, keys):
    """Of each mask, the mean of the matrices, and its standard error."""
    masks, found = matrices(estimator, logits, keys)
    for mask in np.eye(len(logits)):
        chosen = found[(masks == mask[None]).all(axis=1)]
        yield mask, chosen.mean(axis=0), chosen.std(axis=0) / np.sqrt(len(chosen))


def of_gap(location, shift, temperature):
    """E[sigmoid'(g / temperature)] / temperature of g + shift, g a logistic above 0: by the midpoint rule."""
    top = np.linspace(0.0, 60.0, 400_001)
    gap = (top[1:] + top[:-1]) / 2
    below = np.exp(-(gap - location))
    weight = below / (1 + below) ** 2
    relaxed = 1 / (1 + np.exp(-(gap + shift) / temperature))
    return np.sum(weight * relaxed * (1 - relaxed)) / np.sum(weight) / temperature


@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("part", [ReinMaxRao, partial(ReinMaxCV, eta=1.5)])
def test_of_two_categories_its_mean_given_the_mask_is_an_integral_over_their_gap(part, temperature):
    probs, ones = softmax(TWO), np.array([[1.0, -1.0], [-1.0, 1.0]])
    for mask, mean, error in means_given(part(temperature=temperature), TWO, 2**13):
        chosen = mask @ probs
        given = of_gap(np.log((1 + chosen) / (1 - chosen)), 0.0, temperature) * ones
        # The Gumbels that drew the mask from p are put at the logits of (p + m) / 2, which widens their gap.
        drew = of_gap(np.log(chosen / (1 - chosen)), np.log((1 + chosen) / chosen), temperature) * ones
        rao, cv = 2 * given - jacobian(probs) / 2, reinmax(probs, mask) + 1.5 * (given - drew)
        expected = rao if part is ReinMaxRao else cv
        np.testing.assert_array_less(np.abs(mean - expected), 4.5 * error + 1e-5)


@pytest.mark.parametrize(("part", "eta"), [(ReinMaxRao, None), (ReinMaxCV, 0.5), (ReinMaxCV, 1.5)])
def test_at_temperature_0_it_is_a_plain_multiple_of_what_it_is_made_of(part, eta):
    """ReinMax is 1/2 sum_j p_j (e_j - m)(e_j - m)^T, and as much is what ties between m and j leave of 2 E[J_y | m]."""
    probs = softmax(LOGITS)
    estimator = part(temperature=0.02, conditioned=2**12, **({} if eta is None else {"eta": eta}))
    for mask, mean, error in means_given(estimator, LOGITS, 200):
        differences = np.eye(3) - mask[None]
        whole = 0.5 * np.einsum("j,ji,jk->ik", probs, differences, differences)
        np.testing.assert_allclose(whole, reinmax(probs, mask), atol=1e-12)
        expected = whole - jacobian(probs) / 2 if eta is None else (1 + eta / 2) * whole
        np.testing.assert_array_less(np.abs(mean - expected), 4.5 * error + 2e-3)


def test_without_its_control_variate_it_is_reinmax():
    """2 J - J_p / 2, the 2 of the first term with it: only so is the mean on a linear reward J_p delta."""
    _, found = matrices(ReinMaxCV(eta=0.0), LOGITS, 16)
    keys = jax.random.split(jax.random.key(0), 16)
    masks = [CATEGORICAL.sample(jax.random.split(key)[0], jnp.asarray(LOGITS)[None, None])[0, 0, 0] for key in keys]
    probs = softmax(LOGITS)
    np.testing.assert_allclose(found, [reinmax(probs, np.asarray(mask)) for mask in masks], atol=1e-6)
    mean = sum(prob * reinmax(probs, mask) for prob, mask in zip(probs, np.eye(3), strict=True))
    np.testing.assert_allclose(mean, jacobian(probs), atol=1e-12)


@pytest.mark.parametrize("part", [ReinMaxRao, GumbelRao])
def test_more_gumbels_vary_less_about_the_same_mean(part):
    one, many = ([*means_given(part(conditioned=count), LOGITS, 2**12)] for count in (1, 16))
    for (_, mean, error), (_, other, other_error) in zip(one, many, strict=True):
        np.testing.assert_array_less(np.abs(mean - other), 4.5 * np.hypot(error, other_error) + 1e-6)
        np.testing.assert_allclose((error / other_error) ** 2, 16.0, rtol=0.35)


@pytest.mark.parametrize("part", [ReinMax, ReinMaxRao, ReinMaxCV])
def test_gradients_are_finite_at_logits_beyond_rounding(part):
    masks, found = matrices(part(temperature=0.1), np.array([-300.0, 0.0, 300.0]), 4)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(masks, np.eye(3)[[2] * 4])
