"""Score-function estimators: a learning signal times grad log q(m). Tests: tests/gradients/test_unbiased.py."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


class Draws(NamedTuple):
    """Independent masks.

    Attributes:
      rewards: with the gradients of what the reward closes over, `[samples, batch]`.
      log_masks: log-probabilities of the masks, with the gradients of the logits, `[samples, batch]`.
    """

    rewards: Float[Array, "samples batch"]
    log_masks: Float[Array, "samples batch"]


def draw(key, logits, reward: Reward, *, kind: MaskKind, samples: int = 1) -> Draws:
    """Samples from q, and what score-function estimators combine."""
    return evaluate(kind.sample(key, logits, samples), logits, reward, kind=kind)


def evaluate(masks: Float[Array, "samples ..."], logits, reward: Reward, *, kind: MaskKind) -> Draws:
    """`draw` of masks already sampled."""
    return Draws(jax.vmap(reward)(masks), jax.vmap(lambda mask: kind.total_log_prob(logits, mask))(masks))


def combine_plainly(
    rewards: Float[Array, "samples batch"], log_masks: Float[Array, "samples batch"], baseline=0.0
) -> Estimate:
    """(r - b) grad log q(m); the baseline `[batch]` or a number must not depend on the masks."""
    signals = jax.lax.stop_gradient(rewards - jnp.broadcast_to(baseline, rewards.shape))
    value = jnp.mean(rewards, axis=0)
    return Estimate(value, value + zero(jnp.mean(signals * log_masks, axis=0)))


def combine_leaving_one_out(
    rewards: Float[Array, "samples batch"], log_masks: Float[Array, "samples batch"]
) -> Estimate:
    """Each sample's reward less the mean of the others' (Kool et al. 2019): 1/(K-1) sum_k (r_k - mean r)(m_k - p)."""
    signals = jax.lax.stop_gradient(rewards - jnp.mean(rewards, axis=0, keepdims=True)) / (len(rewards) - 1)
    value = jnp.mean(rewards, axis=0)
    return Estimate(value, value + zero(jnp.sum(signals * log_masks, axis=0)))


def score(key, logits, reward: Reward, *, kind: MaskKind) -> Estimate:
    """r(m) grad log q(m), without a baseline (Williams 1992): the reference that others improve on."""
    return combine_plainly(*draw(key, logits, reward, kind=kind))


def rloo(key, logits, reward: Reward, *, kind: MaskKind, samples: int = 2) -> Estimate:
    """`combine_leaving_one_out` of `samples` masks, at least 2."""
    return combine_leaving_one_out(*draw(key, logits, reward, kind=kind, samples=samples))


def muprop(key, logits, reward: Reward, *, kind: MaskKind) -> Estimate:
    """The first-order Taylor expansion at the mean mask as control variate (Gu et al. 2016)."""
    mask = kind.sample(key, logits)[0]
    mean = kind.probs(logits)
    held = jax.lax.stop_gradient(mean)
    at_mean, pull = jax.vjp(reward, held)
    (slope,) = pull(jnp.ones_like(at_mean))
    value = reward(mask)
    signal = jax.lax.stop_gradient(value - at_mean - total(slope * (mask - held)))
    linear = total(jax.lax.stop_gradient(slope) * mean)
    return Estimate(value, value + zero(signal * kind.total_log_prob(logits, mask) + linear))


def double_cv(key, logits, reward: Reward, *, kind: MaskKind, samples: int = 2) -> Estimate:
    """RLOO with a second control variate from the reward's gradients at the other samples (Titsias & Shi 2022).

    With d_k the gradient of the reward at m_k: b_k = <mean of the other d, m_k - p>, t_k = r_k - b_k, and
    1/K sum_k (t_k - mean of the other t)(m_k - p) + J_p mean d.
    """
    masks = kind.sample(key, logits, samples)
    mean = kind.probs(logits)
    held = jax.lax.stop_gradient(mean)

    def with_slope(mask):
        value, pull = jax.vjp(reward, mask)
        return value, jax.lax.stop_gradient(pull(jnp.ones_like(value))[0])

    rewards, slopes = jax.vmap(with_slope)(masks)
    others = (jnp.sum(slopes, axis=0, keepdims=True) - slopes) / (samples - 1)
    linear = jax.vmap(lambda other, mask: total(other * (mask - held)))(others, masks)
    corrected = jax.lax.stop_gradient(rewards - linear)
    log_masks = jax.vmap(lambda mask: kind.total_log_prob(logits, mask))(masks)
    by_score = combine_leaving_one_out(corrected, log_masks).surrogate
    exact = total(jnp.mean(slopes, axis=0) * mean)
    value = jnp.mean(rewards, axis=0)
    return Estimate(value, value + zero(by_score + exact))


def disarm(key, logits, reward: Reward, *, kind: MaskKind) -> Estimate:
    """Antithetic pairs of binary masks, integrated over what both leave open (Dong et al. 2020)."""
    del kind
    uniform = jax.random.uniform(key, logits.shape)
    held = jax.lax.stop_gradient(jax.nn.sigmoid(logits))
    first, second = ((u < held).astype(logits.dtype) for u in (1.0 - uniform, uniform))
    rewards = reward(first), reward(second)
    weight = jax.lax.stop_gradient((first - second) * jax.nn.sigmoid(jnp.abs(logits)))
    half = jax.lax.stop_gradient(0.5 * (rewards[0] - rewards[1]))
    value = 0.5 * (rewards[0] + rewards[1])
    return Estimate(value, value + zero(half * total(weight * logits)))
