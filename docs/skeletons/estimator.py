"""The score-function gradient with a constant baseline. Copy to ctc_jax/gradients/. Tests: test_estimator.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ctc_jax.gradients.estimator import BOTH, Context, Samples, Score
from ctc_jax.gradients.surrogate import Estimate, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class ConstantBaseline(Score):
    """(r - b) grad log q(m) with one number b (Williams 1992)."""

    baseline: float = option(0.0, "subtracted from each reward, nats")

    unbiased, kinds = True, BOTH

    def combine(
        self, rewards: Samples, log_masks: Samples, *, params: dict | None = None, context: Context = None
    ) -> Estimate:
        """The signal is the reward less the baseline, and no gradient goes through it."""
        del params, context
        signals = jax.lax.stop_gradient(rewards - self.baseline)
        value = jnp.mean(rewards, axis=0)
        return Estimate(value, value + zero(jnp.mean(signals * log_masks, axis=0)))
