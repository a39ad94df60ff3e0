"""Antithetic pairs of categorical masks (Dong et al. 2021).

Tests: tests/gradients/test_stick_breaking.py, test_unbiased.py.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ctc_jax.distributions.mask_kind import CATEGORICAL, MaskKind, total
from ctc_jax.gradients.estimator import Nested
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


@dataclass(frozen=True)
class DisARMStickBreaking(Nested):
    """`DisARM` for the binary choices that break a stick, in ascending order of the logits.

    Choice k takes category k given that none before it was taken, with logit psi_k = phi_k - logsumexp of those after
    it. While neither mask of the pair has taken a category the choices are an antithetic pair, whose gradient is that
    of `DisARM`; once one has, the other's reward less its reward meets the other's score.
    """

    unbiased, kinds = True, frozenset({CATEGORICAL})
    samples = 2

    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **_: Any
    ) -> Estimate:
        """The rewards of a pair."""
        del kind
        order, sticks = broken(logits)
        fixed = jax.lax.stop_gradient(sticks)
        uniform = jax.random.uniform(key, fixed.shape)
        probs = jax.nn.sigmoid(fixed)
        takes = [(u < probs).astype(logits.dtype) for u in (1.0 - uniform, uniform)]
        waiting = [none_before(take) for take in takes]
        masks = [unsorted(taken(take, wait), order) for take, wait in zip(takes, waiting, strict=True)]
        rewards = [reward(mask) for mask in masks]
        scores = [wait * (take - probs) for take, wait in zip(takes, waiting, strict=True)]
        paired = (takes[0] - takes[1]) * jax.nn.sigmoid(jnp.abs(fixed))
        weight = jnp.where(waiting[0] * waiting[1] > 0, paired, scores[0] - scores[1])
        half = jax.lax.stop_gradient(0.5 * (rewards[0] - rewards[1]))
        value = 0.5 * (rewards[0] + rewards[1])
        return Estimate(value, value + zero(half * total(weight * sticks)))


def broken(logits: Float[Array, "*masks"]) -> tuple[Int[Array, "*masks"], Float[Array, "..."]]:
    """Categories in ascending order of their logits, and the logits of the choices; the last category is no choice."""
    order = jnp.argsort(jax.lax.stop_gradient(logits), axis=-1)
    ascending = jnp.take_along_axis(logits, order, axis=-1)
    after = jax.lax.cumlogsumexp(ascending, axis=logits.ndim - 1, reverse=True)[..., 1:]
    return order, ascending[..., :-1] - after


def none_before(takes: Float[Array, "*masks"]) -> Float[Array, "*masks"]:
    """1 as long as no earlier choice took its category."""
    earlier = jnp.cumsum(takes, axis=-1) - takes
    return (earlier == 0).astype(takes.dtype)


def taken(takes: Float[Array, "*masks"], waiting: Float[Array, "*masks"]) -> Float[Array, "..."]:
    """The one-hot mask of the first category taken; the last where none was."""
    first = takes * waiting
    return jnp.concatenate([first, 1.0 - jnp.sum(first, axis=-1, keepdims=True)], axis=-1)


def unsorted(masks: Float[Array, "*masks"], order: Int[Array, "*masks"]) -> Float[Array, "*masks"]:
    """Masks in ascending order of the logits, put back in the order of the categories."""
    return jnp.take_along_axis(masks, jnp.argsort(order, axis=-1), axis=-1)
