"""A score-function gradient with a learned baseline of the input (NVIL; Mnih and Gregor 2014).

Tests: tests/gradients/test_baselines.py, test_unbiased.py.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from ctc_jax.gradients import moving_average, small_network
from ctc_jax.gradients.estimator import BOTH, Context, Samples, Score
from ctc_jax.gradients.score_function import with_baseline
from ctc_jax.gradients.surrogate import Estimate, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class NVIL(Score):
    """(r - c - b(x)) grad log q(m), without the published division by the signal's deviation.

    b follows r - c in squared error, c is the moving average of r - b over batches. Neither sees the masks.
    """

    decay: float = option(0.99, "of the moving average, per step", at_least=0.0, below=1.0)
    width: int = option(200, "hidden units of the baseline", at_least=1)

    unbiased, kinds = True, BOTH
    learned = "a baseline of the input, and a moving average of what it leaves"

    def init(self, key: Key[Array, ""], logits_shape: tuple[int, ...], context_size: int) -> dict:
        """A baseline and an average of 0."""
        del logits_shape
        network = small_network.init(key, context_size, self.width, 1)
        return {"baseline": network, moving_average.COLLECTION: {"signal": jnp.zeros(())}}

    def combine(
        self, rewards: Samples, log_masks: Samples, *, params: dict | None = None, context: Context = None
    ) -> Estimate:
        """The signal is the reward less baseline and average."""
        baseline = small_network.of_input(params["baseline"], context, rewards.shape[1])[:, 0]
        average = params[moving_average.COLLECTION]["signal"]
        value, surrogate = with_baseline(rewards, log_masks, jax.lax.stop_gradient(baseline + average))
        mean = jnp.mean(rewards, axis=0)
        fit = zero(-0.5 * (jax.lax.stop_gradient(mean - average) - baseline) ** 2)
        return Estimate(value, surrogate + fit + moving_average.follow(average, mean - baseline, self.decay))
