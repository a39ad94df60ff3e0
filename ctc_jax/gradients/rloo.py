"""Leave-one-out score-function gradients (RLOO; Kool et al. 2019). Tests: tests/gradients/test_unbiased.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ctc_jax.gradients.estimator import BOTH, Context, Samples, Score
from ctc_jax.gradients.surrogate import Estimate, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class RLOO(Score):
    """Each sample's reward less the mean of the others': 1/(K-1) sum_k (r_k - mean r)(m_k - p)."""

    samples: int = option(2, "masks drawn per example", at_least=2)

    unbiased, kinds = True, BOTH

    def combine(
        self, rewards: Samples, log_masks: Samples, *, params: dict | None = None, context: Context = None
    ) -> Estimate:
        """Takes any number of samples from 2 on."""
        del params, context
        signals = jax.lax.stop_gradient(rewards - jnp.mean(rewards, axis=0, keepdims=True)) / (len(rewards) - 1)
        value = jnp.mean(rewards, axis=0)
        return Estimate(value, value + zero(jnp.sum(signals * log_masks, axis=0)))
