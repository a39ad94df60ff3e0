"""Single-pass estimators that differentiate the reward in the mask: biased. Tests: tests/gradients/test_biased.py."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ctc_jax.distributions.mask_kind import MaskKind
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


@dataclass(frozen=True)
class SinglePass:
    """An estimator whose mask carries its own gradient, so that a deep model needs one forward pass.

    Attributes:
      mask: `(key, logits, *, kind, **options)` to such a mask, of the shape of the logits.
    """

    mask: Callable

    def __call__(self, key, logits, reward: Reward, *, kind: MaskKind, **options) -> Estimate:
        """The reward of the mask."""
        value = reward(self.mask(key, logits, kind=kind, **options))
        return Estimate(value, value)


@SinglePass
def straight_through(key, logits, *, kind: MaskKind):
    """The gradient in the mask, taken for that in its mean (Bengio et al. 2013): J_p delta."""
    return kind.sample(key, logits)[0] + zero(kind.probs(logits))


@SinglePass
def gumbel_softmax(key, logits, *, kind: MaskKind, temperature=1.0):
    """A relaxed mask in place of a mask (Jang et al. 2017, Maddison et al. 2017): its value is no reward of a mask."""
    return kind.soften((logits + kind.noise(key, logits.shape)) / temperature)


@SinglePass
def st_gumbel(key, logits, *, kind: MaskKind, temperature=1.0):
    """A mask in the reward, the gradient of the relaxed one (Jang et al. 2017)."""
    perturbed = logits + kind.noise(key, logits.shape)
    mask = jax.lax.stop_gradient(kind.harden(perturbed))
    return mask + zero(kind.soften(perturbed / temperature))


@SinglePass
def gumbel_rao(key, logits, *, kind: MaskKind, temperature=1.0, conditioned: int = 16):
    """`st_gumbel` averaged over Gumbels conditioned on the mask (Paulus et al. 2021), for one reward."""
    mask_key, noise_key = jax.random.split(key)
    mask = kind.sample(mask_key, logits)[0]
    log_probs = jax.lax.stop_gradient(jax.nn.log_softmax(logits))
    # A wait that is drawn as exactly 0, once in 2^23, would give an infinite logit, and no number for the softmax.
    waits = jnp.maximum(jax.random.exponential(noise_key, (conditioned, *logits.shape)), jnp.finfo(logits.dtype).tiny)
    first = jnp.sum(waits * mask[None], axis=-1, keepdims=True)
    # The sampled category's perturbed logit is the largest; the others' lie below it.
    largest = -jnp.log(first)
    below = -jnp.log(waits * jnp.exp(-log_probs)[None] + first)
    perturbed = jnp.where(mask[None] > 0, largest, below)
    relaxed = kind.soften((perturbed + zero(logits)[None]) / temperature)
    return mask + zero(jnp.mean(relaxed, axis=0))


@SinglePass
def reinmax(key, logits, *, kind: MaskKind, temperature=1.0, second_order: float = 1.0):
    """Second-order accurate straight-through (Liu et al. 2023): 2 J_{(p_t + m) / 2} delta - J_p delta / 2.

    p_t are the probabilities at a temperature t, p itself at 1: above 1, alternatives that are hardly ever drawn keep
    a gradient, and second order is given up.

    Written as J_p delta + a (2 J_{(p_t + m) / 2} - 3 J_p / 2) delta it is straight-through and a correction, whose
    matrix has mean 0 over the masks at t = 1. It doubles the variance, and less than all of it, an a below 1, leaves
    1 - a of the second-order bias that straight-through has: this project's own.

    A gate is a choice of two, and its formula that of the categorical mask of logits (phi, 0).
    """
    mask, mean = kind.sample(key, logits)[0], kind.probs(logits)
    middle = jax.lax.stop_gradient(0.5 * (kind.soften(logits / temperature) + mask))
    # A Jacobian of a mean is symmetric: applied to the logits it gives the product wanted in reverse mode.
    correction = 2.0 * kind.jacobian_product(middle, logits) - 1.5 * mean
    return mask + zero(mean + second_order * correction)
