import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from ctc_jax.layers.masked_draw import divergence, draw, select_values
from scipy.special import log_expit, log_softmax

from ctc_jax.distributions import BernoulliTimesContinuous, CategoricalTimesContinuous
from ctc_jax.gradients import CATEGORICAL
from tests.layers.conftest import assert_close_to_mean

KINDS = ["bernoulli", "categorical", "off"]


def law(kind, seed, deterministic=False):
    keys = jax.random.split(jax.random.key(seed), 3)
    loc = jax.random.normal(keys[0], (2, 3, 4))
    values = (
        dist.Delta(loc) if deterministic else dist.Normal(loc, jnp.exp(0.3 * jax.random.normal(keys[1], (2, 3, 4))))
    )
    logits = jax.random.normal(keys[2], (2, 3, 4 + (kind == "off")))
    if kind == "bernoulli":
        return BernoulliTimesContinuous(logits, values)
    return CategoricalTimesContinuous(logits, values, off=kind == "off")


def draws(q, prior, count=2**14):
    keys = jax.random.split(jax.random.key(0), count)
    return jax.jit(jax.vmap(lambda key: draw(key, q, prior, select_values)))(keys)


@pytest.mark.parametrize("kind", KINDS)
def test_log_probabilities_are_those_of_the_sparse_vector_and_kl_their_expected_ratio(kind):
    q, prior = law(kind, 0), law(kind, 1)
    found = draws(q, prior)
    log_q, log_p = (jax.jit(jax.vmap(of.log_prob))(found.value) for of in (q, prior))
    np.testing.assert_allclose(found.mask_log_prob + found.value_log_prob, log_q, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.mask[..., :4] * (found.value != 0), found.mask[..., :4])
    assert found.kl.shape == found.mask_log_prob.shape == found.value_log_prob.shape == log_q.shape
    assert_close_to_mean(log_q - log_p, found.kl[0])


@pytest.mark.parametrize("kind", KINDS)
def test_deterministic_values_have_no_divergence_of_their_own(kind):
    q, prior = law(kind, 0, deterministic=True), law(kind, 1)
    found = draws(q, prior, 8)
    np.testing.assert_array_equal(found.value_log_prob, 0.0)
    if kind == "bernoulli":
        on, off = (np.stack([log_expit(sign * np.float64(of.logits)) for of in (q, prior)]) for sign in (1, -1))
        expected = np.exp(on[0]) * (on[0] - on[1]) + np.exp(off[0]) * (off[0] - off[1])
    else:
        log_q, log_p = (log_softmax(np.float64(of.logits), axis=-1) for of in (q, prior))
        expected = (np.exp(log_q) * (log_q - log_p)).sum(-1)
    np.testing.assert_allclose(found.kl[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deterministic", [False, True])
def test_the_divergence_to_itself_is_zero(kind, deterministic):
    q = law(kind, 0, deterministic)
    np.testing.assert_allclose(divergence(q, q), 0.0, atol=1e-6)


def test_the_mask_of_an_estimator_carries_its_gradient_to_the_value_alone():
    q, prior = law("categorical", 0, deterministic=True), law("categorical", 1)
    weights = jax.random.normal(jax.random.key(5), (2, 3, 4))

    def straight_through(key, logits, *, kind):
        assert kind is CATEGORICAL
        mean = kind.probs(logits)
        return kind.sample(key, logits)[0] + mean - jax.lax.stop_gradient(mean)

    def gradients(mask):
        """Of the weighted value, and of the masks' log-probability; beside them the mask."""

        def both(logits):
            law = CategoricalTimesContinuous(logits, q.values)
            found = draw(jax.random.key(0), law, prior, select_values, mask=mask)
            return (jnp.sum(found.value * weights), jnp.sum(found.mask_log_prob)), found.mask

        def pulled(logits):
            _, pull, mask = jax.vjp(both, logits, has_aux=True)
            return pull((1.0, 0.0))[0], pull((0.0, 1.0))[0], mask

        return jax.jit(pulled)(q.logits)

    def expectation(logits):
        return jnp.sum(jax.nn.softmax(logits) * q.values.v * weights)

    probs, expected = jax.nn.softmax(q.logits), jax.grad(expectation)(q.logits)
    for mask, of_value in ((straight_through, expected), (None, jnp.zeros_like(expected))):
        found, score, drawn = gradients(mask)
        np.testing.assert_allclose(found, of_value, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(score, jnp.round(drawn) - probs, rtol=1e-4, atol=1e-5)


def test_gradients_reach_selected_values_by_their_parameters():
    q, prior = law("categorical", 0), law("categorical", 1)

    def total(loc):
        law = CategoricalTimesContinuous(q.logits, dist.Normal(loc, q.values.scale))
        found = draw(jax.random.key(0), law, prior, select_values)
        return found.value.sum(), found.mask

    gradient, mask = jax.jit(jax.grad(total, has_aux=True))(q.values.loc)
    np.testing.assert_array_equal(gradient, mask)


def test_a_prior_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"^prior is a BernoulliTimesContinuous; allowed: CategoricalTimesContinuous"):
        divergence(law("categorical", 0), law("bernoulli", 0))
    with pytest.raises(ValueError, match=r"^prior has batch shape \(4,\); allowed: \(2, 3\)"):
        divergence(
            law("categorical", 0), CategoricalTimesContinuous(jnp.zeros((4, 4)), dist.Normal(jnp.zeros((4, 4)), 1.0))
        )
    with pytest.raises(ValueError, match="the same masks"):
        divergence(law("categorical", 0), law("off", 0))
