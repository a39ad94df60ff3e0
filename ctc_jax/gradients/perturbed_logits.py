"""Logits with noise whose mode is a sample, free or given that sample. Tests: tests/gradients/test_perturbed_logits.py.

Both are differentiable in the logits at fixed noise. Those of a categorical mask are normalized first.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import BERNOULLI, MaskKind


def perturb(
    key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind
) -> Float[Array, "batch *masks"]:
    """z such that `kind.harden(z)` is a sample."""
    return _normalized(logits, kind) + kind.noise(key, logits.shape)


def perturb_given(
    key: Key[Array, ""], logits: Float[Array, "batch *masks"], masks: Float[Array, "batch *masks"], *, kind: MaskKind
) -> Float[Array, "batch *masks"]:
    """z given that `kind.harden(z)` is `masks` (Tucker et al. 2017, appendix)."""
    if kind == BERNOULLI:
        noise = kind.noise(key, logits.shape)
        on, off = (jax.nn.softplus(noise + jax.nn.softplus(sign * logits)) for sign in (1.0, -1.0))
        return jnp.where(masks > 0, on, -off)
    # A wait that is drawn as exactly 0, once in 2^23, would give an infinite logit, and no number for the softmax.
    log_waits = jnp.log(jnp.maximum(jax.random.exponential(key, logits.shape), jnp.finfo(logits.dtype).tiny))
    first = jnp.sum(log_waits * masks, axis=-1, keepdims=True)
    # The sampled category's is the largest, with a Gumbel distribution of its own; the others' lie below it.
    below = -jnp.logaddexp(log_waits - _normalized(logits, kind), first)
    return jnp.where(masks > 0, -first, below)


def _normalized(logits: Float[Array, "batch *masks"], kind: MaskKind) -> Float[Array, "batch *masks"]:
    return logits if kind == BERNOULLI else jax.nn.log_softmax(logits)
