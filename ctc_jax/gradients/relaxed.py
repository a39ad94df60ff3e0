"""Single-pass estimators that differentiate the reward in the mask: biased. Tests: tests/gradients/test_biased.py."""

import jax
import jax.numpy as jnp

from ctc_jax.gradients.mask_kind import MaskKind
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


def straight_through(key, logits, reward: Reward, *, kind: MaskKind) -> Estimate:
    """The gradient in the mask, taken for that in its mean (Bengio et al. 2013): J_p delta."""
    return _at(kind.sample(key, logits)[0] + zero(kind.probs(logits)), reward)


def gumbel_softmax(key, logits, reward: Reward, *, kind: MaskKind, temperature: float = 1.0) -> Estimate:
    """A relaxed mask in place of a mask (Jang et al. 2017, Maddison et al. 2017): its value is no reward of a mask."""
    return _at(kind.soften((logits + kind.noise(key, logits.shape)) / temperature), reward)


def st_gumbel(key, logits, reward: Reward, *, kind: MaskKind, temperature: float = 1.0) -> Estimate:
    """A mask in the reward, the gradient of the relaxed one (Jang et al. 2017)."""
    perturbed = logits + kind.noise(key, logits.shape)
    mask = jax.lax.stop_gradient(kind.harden(perturbed))
    return _at(mask + zero(kind.soften(perturbed / temperature)), reward)


def gumbel_rao(
    key, logits, reward: Reward, *, kind: MaskKind, temperature: float = 1.0, conditioned: int = 16
) -> Estimate:
    """`st_gumbel` averaged over Gumbels conditioned on the mask (Paulus et al. 2021), for one reward."""
    mask_key, noise_key = jax.random.split(key)
    mask = kind.sample(mask_key, logits)[0]
    log_probs = jax.lax.stop_gradient(jax.nn.log_softmax(logits))
    waits = jax.random.exponential(noise_key, (conditioned, *logits.shape))
    first = jnp.sum(waits * mask[None], axis=-1, keepdims=True)
    # The sampled category's perturbed logit is the largest; the others' lie below it.
    largest = -jnp.log(first)
    below = -jnp.log(waits * jnp.exp(-log_probs)[None] + first)
    perturbed = jnp.where(mask[None] > 0, largest, below)
    relaxed = kind.soften((perturbed + zero(logits)[None]) / temperature)
    return _at(mask + zero(jnp.mean(relaxed, axis=0)), reward)


def reinmax(key, logits, reward: Reward, *, kind: MaskKind) -> Estimate:
    """Second-order accurate straight-through (Liu et al. 2023): 2 J_{(p + m) / 2} delta - J_p delta / 2."""
    mask, mean = kind.sample(key, logits)[0], kind.probs(logits)
    middle = jax.lax.stop_gradient(0.5 * (mean + mask))
    # A Jacobian of a mean is symmetric: applied to the logits it gives the product wanted in reverse mode.
    return _at(mask + zero(2.0 * kind.jacobian_product(middle, logits) - 0.5 * mean), reward)


def _at(mask, reward: Reward) -> Estimate:
    value = reward(mask)
    return Estimate(value, value)
