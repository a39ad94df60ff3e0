"""Antithetic pairs of gates (DisARM; Dong et al. 2020). Tests: tests/gradients/test_unbiased.py."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import BERNOULLI, MaskKind, total
from ctc_jax.gradients.estimator import Nested
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


@dataclass(frozen=True)
class DisARM(Nested):
    """(r(m) - r(m')) / 2 (m - m') sigmoid(|phi|), m and m' from u and 1 - u: what both leave open is integrated."""

    unbiased, kinds = True, frozenset({BERNOULLI})
    samples = 2

    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **_: Any
    ) -> Estimate:
        """The rewards of a pair."""
        del kind
        uniform = jax.random.uniform(key, logits.shape)
        probs = jax.lax.stop_gradient(jax.nn.sigmoid(logits))
        first, second = ((u < probs).astype(logits.dtype) for u in (1.0 - uniform, uniform))
        rewards = reward(first), reward(second)
        weight = jax.lax.stop_gradient((first - second) * jax.nn.sigmoid(jnp.abs(logits)))
        half = jax.lax.stop_gradient(0.5 * (rewards[0] - rewards[1]))
        value = 0.5 * (rewards[0] + rewards[1])
        return Estimate(value, value + zero(half * total(weight * logits)))
