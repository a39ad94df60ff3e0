"""Score-function estimators: a learning signal times grad log q(m). Tests: tests/gradients/test_unbiased.py."""

import jax
import jax.numpy as jnp

from ctc_jax.gradients.mask_kind import MaskKind, total
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


def score(key, logits, reward: Reward, *, kind: MaskKind) -> Estimate:
    """r(m) grad log q(m), without a baseline (Williams 1992): the reference that others improve on."""
    mask = kind.sample(key, logits)[0]
    value = reward(mask)
    return Estimate(value, value + zero(jax.lax.stop_gradient(value) * kind.total_log_prob(logits, mask)))


def rloo(key, logits, reward: Reward, *, kind: MaskKind, samples: int = 2) -> Estimate:
    """Each sample's reward less the mean of the others' (Kool et al. 2019): 1/(K-1) sum_k (r_k - mean r)(m_k - p)."""
    masks = kind.sample(key, logits, samples)
    rewards = jax.vmap(reward)(masks)
    signals = jax.lax.stop_gradient(rewards - jnp.mean(rewards, axis=0, keepdims=True)) / (samples - 1)
    log_probs = jax.vmap(lambda mask: kind.total_log_prob(logits, mask))(masks)
    value = jnp.mean(rewards, axis=0)
    return Estimate(value, value + zero(jnp.sum(signals * log_probs, axis=0)))


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
    signals = (corrected - jnp.mean(corrected, axis=0, keepdims=True)) / (samples - 1)
    log_probs = jax.vmap(lambda mask: kind.total_log_prob(logits, mask))(masks)
    value = jnp.mean(rewards, axis=0)
    exact = total(jnp.mean(slopes, axis=0) * mean)
    return Estimate(value, value + zero(jnp.sum(signals * log_probs, axis=0) + exact))


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
