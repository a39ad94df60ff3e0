"""Masks weighted by an improved policy. Tests: tests/gradients/test_daps.py."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.gradients.surrogate import Estimate, zero


def combine_weighted(
    rewards: Float[Array, "samples batch"],
    log_masks: Float[Array, "samples batch"],
    *,
    trust_region: float = 1.0,
    entropy: float = 0.0,
) -> Estimate:
    """The log-likelihood of q under its samples weighted towards the policy that a trust region allows; biased.

    sum_k w_k grad log q(m_k), w = softmax over k of (r_k - beta log q(m_k)) / (eta + beta): the importance weights of
    q^(eta / (eta + beta)) exp(r / (eta + beta)), the best policy for reward + beta entropy - eta KL from q. It is not
    scaled as a gradient of the reward: as eta rises it tends to 1/eta times a leave-one-out gradient.

    Args:
      rewards: of each mask.
      log_masks: log q of each mask, with the gradients of the logits.
      trust_region: eta, nats.
      entropy: beta, nats.
    """
    held = jax.lax.stop_gradient((rewards - entropy * log_masks) / (trust_region + entropy))
    value = jnp.mean(rewards, axis=0)
    return Estimate(value, value + zero(jnp.sum(jax.nn.softmax(held, axis=0) * log_masks, axis=0)))
