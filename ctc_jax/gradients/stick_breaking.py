"""Antithetic pairs of categorical masks. Tests: tests/gradients/test_stick_breaking.py, test_unbiased.py."""

import jax
import jax.numpy as jnp

from ctc_jax.distributions.mask_kind import MaskKind
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


def disarm_stick_breaking(key, logits, reward: Reward, *, kind: MaskKind) -> Estimate:
    """`disarm` for the binary choices that break a stick, in ascending order of the logits (Dong et al. 2021).

    Choice k takes category k given that none before it was taken, with logit psi_k = phi_k - logsumexp of those after
    it. While neither mask of the pair has taken a category the choices are an antithetic pair, whose gradient is that
    of `disarm`; once one has, the other's reward less its reward meets the other's score.
    """
    del kind
    order = jnp.argsort(jax.lax.stop_gradient(logits), axis=-1)
    sorted_logits = jnp.take_along_axis(logits, order, axis=-1)
    after = jax.lax.cumlogsumexp(sorted_logits, axis=logits.ndim - 1, reverse=True)[..., 1:]
    sticks = sorted_logits[..., :-1] - after
    held = jax.lax.stop_gradient(sticks)
    uniform = jax.random.uniform(key, held.shape)
    probs = jax.nn.sigmoid(held)
    takes = [(u < probs).astype(logits.dtype) for u in (1.0 - uniform, uniform)]
    waiting = [_none_before(take) for take in takes]
    masks = [_unsorted(_taken(take, wait), order) for take, wait in zip(takes, waiting, strict=True)]
    rewards = [reward(mask) for mask in masks]
    scores = [wait * (take - probs) for take, wait in zip(takes, waiting, strict=True)]
    paired = (takes[0] - takes[1]) * jax.nn.sigmoid(jnp.abs(held))
    weight = jnp.where(waiting[0] * waiting[1] > 0, paired, scores[0] - scores[1])
    half = jax.lax.stop_gradient(0.5 * (rewards[0] - rewards[1]))
    value = 0.5 * (rewards[0] + rewards[1])
    return Estimate(value, value + zero(half * jnp.sum((weight * sticks).reshape(len(logits), -1), axis=-1)))


def _none_before(takes):
    """1 as long as no earlier choice took its category."""
    earlier = jnp.cumsum(takes, axis=-1) - takes
    return (earlier == 0).astype(takes.dtype)


def _taken(takes, waiting):
    """The one-hot mask of the first category taken; the last where none was."""
    first = takes * waiting
    return jnp.concatenate([first, 1.0 - jnp.sum(first, axis=-1, keepdims=True)], axis=-1)


def _unsorted(masks, order):
    """Back from ascending order to that of the categories."""
    return jnp.take_along_axis(masks, jnp.argsort(order, axis=-1), axis=-1)
