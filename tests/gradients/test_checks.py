import jax
import jax.numpy as jnp
import pytest

from ctc_jax.gradients import BERNOULLI, CATEGORICAL, check_logits, check_masks


def test_logits_that_are_not_finite_are_refused_by_name_and_place():
    check_logits(jnp.zeros((2, 3)))
    with pytest.raises(
        ValueError, match=r"^gate logits: 2 of 6 are NaN or infinite, first at \(0, 1\); allowed: finite"
    ):
        check_logits(jnp.array([[0.0, jnp.nan, 0.0], [jnp.inf, 0.0, 0.0]]), "gate logits")


def test_masks_that_are_not_one_hot_are_refused():
    check_masks(jnp.eye(3)[None], kind=CATEGORICAL)
    check_masks(jnp.ones((1, 3)), kind=BERNOULLI)
    with pytest.raises(ValueError, match=r"^masks: 0\.5 at \(0, 0, 1\); allowed: 0 and 1$"):
        check_masks(jnp.array([[[0.5, 0.5][::-1]]]).at[0, 0, 0].set(1.0), kind=CATEGORICAL)
    with pytest.raises(ValueError, match=r"^masks: 2 of 3 alternatives are on at \(0, 1\); allowed: exactly 1$"):
        check_masks(jnp.array([[[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]]), kind=CATEGORICAL)


def test_traced_arrays_pass():
    jax.jit(lambda logits: check_logits(logits) or logits)(jnp.array([jnp.nan]))
    jax.jit(lambda masks: check_masks(masks, kind=BERNOULLI) or masks)(jnp.array([0.5]))
