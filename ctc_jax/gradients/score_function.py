"""The score-function gradient, plain or with a baseline that is given. Tests: tests/gradients/test_unbiased.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.gradients.estimator import BOTH, Context, Samples, Score
from ctc_jax.gradients.surrogate import Estimate, zero


def with_baseline(rewards: Samples, log_masks: Samples, baseline: Float[Array, "*batch"] | float) -> Estimate:
    """(r - b) grad log q(m).

    Args:
      rewards: of the masks.
      log_masks: log-probabilities of the masks, nats.
      baseline: `[batch]` or one number; it must not depend on the masks.
    """
    signals = jax.lax.stop_gradient(rewards - jnp.broadcast_to(baseline, rewards.shape))
    value = jnp.mean(rewards, axis=0)
    return Estimate(value, value + zero(jnp.mean(signals * log_masks, axis=0)))


@dataclass(frozen=True)
class ScoreFunction(Score):
    """r(m) grad log q(m), without a baseline (Williams 1992): the reference that others improve on."""

    unbiased, kinds = True, BOTH

    def combine(
        self, rewards: Samples, log_masks: Samples, *, params: dict | None = None, context: Context = None
    ) -> Estimate:
        """The signal is the reward."""
        del params, context
        return with_baseline(rewards, log_masks, 0.0)
