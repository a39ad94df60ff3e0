"""Gradients by sums over masks in place of samples. Tests: tests/gradients/test_unbiased.py."""

import jax
import jax.numpy as jnp

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


def enumerate_masks(key, logits, reward: Reward, *, kind: MaskKind) -> Estimate:
    """The expectation and its exact gradient, by every mask: alternatives to the power of places rewards."""
    del key
    masks = kind.every(logits)
    rewards = jax.vmap(reward)(masks)
    log_probs = jax.vmap(lambda mask: kind.total_log_prob(logits, mask))(masks)
    expectation = jnp.sum(jnp.exp(log_probs) * rewards, axis=0)
    return Estimate(expectation, expectation)


def local_expectation(key, logits, reward: Reward, *, kind: MaskKind) -> Estimate:
    """At each place the exact expectation over its alternatives, the others as sampled (Titsias & Lazaro-Gredilla
    2015): 1 + places * (alternatives - 1) rewards that differ from the sample's, one place at a time."""
    mask = kind.sample(key, logits)[0]
    alternatives = kind.alternatives(logits)
    flat = mask.reshape(len(mask), -1, *alternatives.shape[1:])
    flat_logits = logits.reshape(flat.shape)

    def with_place(place, alternative):
        changed = flat.at[:, place].set(jnp.broadcast_to(alternative, flat[:, place].shape))
        return jax.lax.stop_gradient(reward(changed.reshape(mask.shape)))

    count = flat.shape[1]
    each = jax.vmap(lambda place: jax.vmap(lambda choice: with_place(place, choice))(alternatives))(jnp.arange(count))
    # Probability of each alternative at each place, differentiable: [places, alternatives, batch].
    probs = jnp.stack(
        [jnp.exp(kind.log_prob(flat_logits, jnp.broadcast_to(choice, flat.shape))).T for choice in alternatives], axis=1
    )
    value = reward(mask)
    return Estimate(value, value + zero(total(jnp.sum(probs * each, axis=1).T)))
