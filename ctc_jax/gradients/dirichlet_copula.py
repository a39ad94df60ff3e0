"""Binary masks that exclude one another. Tests: tests/gradients/test_dirichlet_copula.py, test_unbiased.py."""

import jax
import jax.numpy as jnp

from ctc_jax.distributions.mask_kind import MaskKind
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


def arms(key, logits, reward: Reward, *, kind: MaskKind, samples: int = 2) -> Estimate:
    """Binary masks as negatively correlated as a Dirichlet allows (Dimitriev & Zhou 2021).

    Leave-one-out with the copula's correlation rho divided out, place by place: given one mask, another's mean is
    p + rho (m - p), hence E of 1/(K-1) sum_k (r_k - mean r)(m_k - p) is (1 - rho) times the gradient. Two masks are an
    antithetic pair, and this is `disarm`.

    Args:
      key: of the copula.
      logits: `[batch, *places]`.
      reward: of a mask.
      kind: BERNOULLI.
      samples: masks drawn, at least 2.
    """
    del kind
    held = jax.lax.stop_gradient(logits)
    # Of the rarer of on and off: there the copula's correlation is the lower.
    log_rare = -jax.nn.softplus(jnp.abs(held))
    rare_masks = _sample(key, log_rare, samples)
    masks = jnp.where((held > 0)[None], 1.0 - rare_masks, rare_masks)
    rewards = jax.vmap(reward)(masks)
    signals = jax.lax.stop_gradient(rewards - jnp.mean(rewards, axis=0, keepdims=True)) / (samples - 1)
    scaled = (masks - jax.nn.sigmoid(held)[None]) / (1.0 - correlation(log_rare, samples))[None]
    signals = signals.reshape(*signals.shape, *(1,) * (logits.ndim - 1))
    slope = jnp.sum(signals * scaled, axis=0)
    value = jnp.mean(rewards, axis=0)
    return Estimate(value, value + zero(jnp.sum((slope * logits).reshape(len(logits), -1), axis=-1)))


def _sample(key, log_probs, samples):
    """1 with the probability given, at most 1/2: where a part of a uniform Dirichlet is large."""
    waits = jax.random.exponential(key, (samples, *log_probs.shape))
    parts = waits / jnp.sum(waits, axis=0, keepdims=True)
    # A part exceeds t with probability (1 - t)^(K - 1).
    return ((samples - 1) * jnp.log1p(-parts) < log_probs[None]).astype(log_probs.dtype)


def correlation(log_probs, samples: int):
    """Of two of the copula's masks, each on with probability at most 1/2, given as a logarithm."""
    probs = jnp.exp(log_probs)
    # Two parts exceed t with probability (1 - 2 t)_+^(K - 1).
    both = jnp.maximum(0.0, 2.0 * jnp.exp(log_probs / (samples - 1)) - 1.0) ** (samples - 1)
    possible = both > 0
    return jnp.where(possible, both / jnp.where(possible, probs, 1.0), 0.0) / (1.0 - probs) - probs / (1.0 - probs)
