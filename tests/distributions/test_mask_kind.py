import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions.mask_kind import KINDS

SHAPES = {"bernoulli": (2, 3), "categorical": (2, 2, 4)}


@pytest.mark.parametrize("name", KINDS)
def test_probabilities_of_all_masks_sum_to_one(name):
    kind, logits = KINDS[name], jax.random.normal(jax.random.key(0), SHAPES[name])
    masks = kind.every(logits)
    assert len(np.unique(np.asarray(masks[:, 0]).reshape(len(masks), -1), axis=0)) == len(masks)
    log_probs = np.stack([kind.total_log_prob(logits, mask) for mask in masks])
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=0), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_samples_are_masks_with_the_mean_said(name):
    kind, logits = KINDS[name], jax.random.normal(jax.random.key(0), SHAPES[name])
    masks = np.asarray(kind.sample(jax.random.key(1), logits, 2**14))
    assert set(np.unique(masks)) == {0.0, 1.0}
    probs = np.asarray(kind.probs(logits))
    np.testing.assert_array_less(abs(masks.mean(0) - probs), 4.5 * np.sqrt(probs * (1 - probs) / 2**14))


@pytest.mark.parametrize("name", KINDS)
def test_the_jacobian_is_that_of_the_mean(name):
    kind, logits = KINDS[name], jax.random.normal(jax.random.key(0), SHAPES[name])
    vectors = jax.random.normal(jax.random.key(1), logits.shape)
    expected = jax.jvp(kind.probs, (logits,), (vectors,))[1]
    np.testing.assert_allclose(kind.jacobian_product(kind.probs(logits), vectors), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.vjp(kind.probs, logits)[1](vectors)[0], expected, rtol=1e-5, atol=1e-6)


def test_relaxed_masks_become_masks_as_the_temperature_falls():
    for name, kind in KINDS.items():
        perturbed = jax.random.normal(jax.random.key(0), SHAPES[name])
        np.testing.assert_allclose(kind.soften(perturbed / 1e-3), kind.harden(perturbed), atol=1e-4)
        assert jnp.all(kind.soften(perturbed) < 1)
