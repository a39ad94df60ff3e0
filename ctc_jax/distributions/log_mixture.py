"""Log of a mixture with a derivative that reads its inputs once. Tests: test_log_mixture.py."""

from functools import reduce

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_vjp
def log_mixture(logits: Float[Array, "K *shape"], log_probs: Float[Array, "K *shape"]) -> Float[Array, "*shape"]:
    """`logsumexp_k(log softmax(logits)_k + log_probs_k)` over the leading axis, nats.

    Entries of `log_probs` may be -inf, but not all of them at one place. Reverse mode only, first derivatives only.
    """
    return _normalizers(logits, log_probs)[0]


def _log_sum_exp(terms):
    # Unrolled: XLA's CPU backend gives a reduction over the leading axis passes of its own.
    largest = reduce(jnp.maximum, terms)
    return largest + jnp.log(sum(jnp.exp(term - largest) for term in terms))


def _normalizers(logits, log_probs):
    joint = _log_sum_exp([logit + log_prob for logit, log_prob in zip(logits, log_probs, strict=True)])
    prior = _log_sum_exp(list(logits))
    return joint - prior, joint, prior


def _forward(logits, log_probs):
    value, joint, prior = _normalizers(logits, log_probs)
    return value, (logits, log_probs, joint, prior)


def _backward(saved, cotangent):
    logits, log_probs, joint, prior = saved
    posterior = cotangent[None] * jnp.exp(logits + log_probs - joint[None])
    return posterior - cotangent[None] * jnp.exp(logits - prior[None]), posterior


log_mixture.defvjp(_forward, _backward)
