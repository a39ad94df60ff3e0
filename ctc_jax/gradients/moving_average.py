"""Moving averages kept among the parameters, and the baseline that is one. Tests: tests/gradients/test_baselines.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import total
from ctc_jax.gradients.estimator import BOTH, Context, Samples, Score
from ctc_jax.gradients.score_function import with_baseline
from ctc_jax.gradients.surrogate import Estimate, zero
from ctc_jax.options import option

# Parameters whose path contains this word take plain gradient steps of rate 1.
COLLECTION = "moving_averages"


def follow(
    average: Float[Array, "*shape"], targets: Float[Array, "batch *shape"], decay: float
) -> Float[Array, "batch"]:
    """Surrogate terms by which one gradient step of rate 1 moves the average to d c + (1 - d) mean target.

    Args:
      average: c, a parameter.
      targets: of each example; no gradient reaches them.
      decay: d.
    """
    return zero(-0.5 * (1.0 - decay) * total((average[None] - jax.lax.stop_gradient(targets)) ** 2))


@dataclass(frozen=True)
class ScoreMovingAverage(Score):
    """(r - c) grad log q(m), with c the moving average of r over batches, which has not seen the masks of this one."""

    decay: float = option(0.99, "of the moving average, per step", at_least=0.0, below=1.0)

    unbiased, kinds = True, BOTH
    learned = "a moving average of the reward"

    def init(self, key: Key[Array, ""], logits_shape: tuple[int, ...], context_size: int) -> dict:
        """An average of 0."""
        del key, logits_shape, context_size
        return {COLLECTION: {"reward": jnp.zeros(())}}

    def combine(
        self, rewards: Samples, log_masks: Samples, *, params: dict | None = None, context: Context = None
    ) -> Estimate:
        """The signal is the reward less the average."""
        del context
        average = params[COLLECTION]["reward"]
        value, surrogate = with_baseline(rewards, log_masks, jax.lax.stop_gradient(average))
        return Estimate(value, surrogate + follow(average, jnp.mean(rewards, axis=0), self.decay))
