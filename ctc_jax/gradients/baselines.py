"""Score-function estimators whose baseline is learned. Tests: tests/gradients/test_baselines.py, test_unbiased.py.

No baseline sees the masks that it is subtracted from, so that the gradient in the logits stays unbiased.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.gradients import moving_average, small_network
from ctc_jax.gradients.moving_average import COLLECTION
from ctc_jax.gradients.score_function import combine_plainly
from ctc_jax.gradients.surrogate import Estimate, zero


def init_moving_average(key, logits_shape: tuple[int, ...], context_size: int) -> dict:
    """Parameters of `combine_with_moving_average`."""
    del key, logits_shape, context_size
    return {COLLECTION: {"reward": jnp.zeros(())}}


def combine_with_moving_average(
    rewards: Float[Array, "samples batch"],
    log_masks: Float[Array, "samples batch"],
    *,
    params: dict,
    context=None,
    decay: float = 0.99,
) -> Estimate:
    """(r - c) grad log q(m), c the moving average of r over batches."""
    del context
    average = params[COLLECTION]["reward"]
    value, surrogate = combine_plainly(rewards, log_masks, jax.lax.stop_gradient(average))
    return Estimate(value, surrogate + moving_average.follow(average, jnp.mean(rewards, axis=0), decay))


def init_nvil(key, logits_shape: tuple[int, ...], context_size: int, *, width: int = 200) -> dict:
    """Parameters of `combine_nvil`."""
    del logits_shape
    return {"baseline": small_network.init(key, context_size, width, 1), COLLECTION: {"signal": jnp.zeros(())}}


def combine_nvil(
    rewards: Float[Array, "samples batch"],
    log_masks: Float[Array, "samples batch"],
    *,
    params: dict,
    context: Float[Array, "batch inputs"] | None = None,
    decay: float = 0.99,
) -> Estimate:
    """(r - c - b(x)) grad log q(m) (Mnih & Gregor 2014), without their division by the signal's deviation.

    b follows r - c in squared error, c the moving average of r - b over batches.
    """
    baseline = small_network.of_input(params["baseline"], context, rewards.shape[1])[:, 0]
    average = params[COLLECTION]["signal"]
    value, surrogate = combine_plainly(rewards, log_masks, jax.lax.stop_gradient(baseline + average))
    mean = jnp.mean(rewards, axis=0)
    fit = zero(-0.5 * (jax.lax.stop_gradient(mean - average) - baseline) ** 2)
    return Estimate(value, surrogate + fit + moving_average.follow(average, mean - baseline, decay))
