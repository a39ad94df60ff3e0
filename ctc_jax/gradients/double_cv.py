"""Leave-one-out with a second control variate (Titsias and Shi 2022). Tests: tests/gradients/test_unbiased.py."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients.estimator import BOTH, Nested
from ctc_jax.gradients.rloo import RLOO
from ctc_jax.gradients.surrogate import Estimate, Reward, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class DoubleCV(Nested):
    """RLOO with a control variate from the reward's gradients at the other samples.

    With d_k the gradient of the reward at m_k: b_k = <mean of the other d, m_k - p>, t_k = r_k - b_k, and
    1/K sum_k (t_k - mean of the other t)(m_k - p) + J_p mean d.
    """

    samples: int = option(2, "masks drawn per example", at_least=2)

    unbiased, kinds = True, BOTH

    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **_: Any
    ) -> Estimate:
        """The reward and its gradient in the mask, at each sample."""
        masks = kind.sample(key, logits, self.samples)
        mean = kind.probs(logits)
        fixed_mean = jax.lax.stop_gradient(mean)

        def with_slope(mask):
            value, pull = jax.vjp(reward, mask)
            return value, jax.lax.stop_gradient(pull(jnp.ones_like(value))[0])

        rewards, slopes = jax.vmap(with_slope)(masks)
        others = (jnp.sum(slopes, axis=0, keepdims=True) - slopes) / (self.samples - 1)
        linear = jax.vmap(lambda other, mask: total(other * (mask - fixed_mean)))(others, masks)
        corrected = jax.lax.stop_gradient(rewards - linear)
        log_masks = jax.vmap(partial(kind.total_log_prob, logits))(masks)
        by_score = RLOO().combine(corrected, log_masks).surrogate
        exact = total(jnp.mean(slopes, axis=0) * mean)
        value = jnp.mean(rewards, axis=0)
        return Estimate(value, value + zero(by_score + exact))
