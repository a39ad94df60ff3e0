"""A Taylor expansion as control variate (MuProp; Gu et al. 2016). Tests: tests/gradients/test_unbiased.py."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients.estimator import BOTH, Nested
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


@dataclass(frozen=True)
class MuProp(Nested):
    """(r(m) - r(p) - r'(p) (m - p)) grad log q(m) + J_p r'(p), with the reward and its slope at the mean mask p."""

    unbiased, kinds = True, BOTH
    samples = 2

    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **_: Any
    ) -> Estimate:
        """The rewards of a mask and of the mean mask."""
        mask = kind.sample(key, logits)[0]
        mean = kind.probs(logits)
        fixed_mean = jax.lax.stop_gradient(mean)
        at_mean, pull = jax.vjp(reward, fixed_mean)
        (slope,) = pull(jnp.ones_like(at_mean))
        value = reward(mask)
        signal = jax.lax.stop_gradient(value - at_mean - total(slope * (mask - fixed_mean)))
        linear = total(jax.lax.stop_gradient(slope) * mean)
        return Estimate(value, value + zero(signal * kind.total_log_prob(logits, mask) + linear))
