"""Gradients of importance-weighted bounds through masks (Mnih & Rezende 2016). Tests: tests/gradients/test_vimco.py."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.gradients.surrogate import Estimate, zero


def vimco(log_weights: Float[Array, "samples batch"], log_masks: Float[Array, "samples batch"]) -> Estimate:
    """log mean w, and its gradient with a baseline for each sample from the others; unbiased.

    The signal of log q(m_k) is the bound less the bound with w_k replaced by the geometric mean of the other weights.

    Args:
      log_weights: log p(x, z_k) - log q(z_k | x), nats, with their pathwise gradients, that of -log q among them.
      log_masks: log-probabilities of all masks of a sample, with the gradients of the logits.

    Raises:
      ValueError: fewer than 2 samples: the baseline is made of the others.
    """
    count = len(log_weights)
    if count < 2:
        raise ValueError(f"vimco: {count} samples; allowed: 2 or more")
    value = jax.nn.logsumexp(log_weights, axis=0) - jnp.log(count)
    fixed = jax.lax.stop_gradient(log_weights)
    others = (jnp.sum(fixed, axis=0, keepdims=True) - fixed) / (count - 1)
    own = jnp.eye(count, dtype=bool)[:, :, None]
    replaced = jnp.where(own, others[:, None], fixed[None])
    without = jax.nn.logsumexp(replaced, axis=1) - jnp.log(count)
    signals = jax.lax.stop_gradient(value)[None] - without
    return Estimate(value, value + zero(jnp.sum(signals * log_masks, axis=0)))
