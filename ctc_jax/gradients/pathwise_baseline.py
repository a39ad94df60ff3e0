"""The source author's baseline, and an unbiased form. Tests: tests/gradients/test_pathwise_baseline.py.

Both take a `SparseReward` and act on the gradient in its values s, with x = m * s and delta = dr/dx.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients import moving_average, small_network
from ctc_jax.gradients.moving_average import COLLECTION
from ctc_jax.gradients.score_function import combine_leaving_one_out, evaluate
from ctc_jax.gradients.sparse_reward import SparseReward
from ctc_jax.gradients.surrogate import Estimate, zero


def init_baseline(key, logits_shape: tuple[int, ...], context_size: int, *, width: int = 200) -> dict:
    """Parameters of `source_baseline_unbiased`."""
    return {"baseline": small_network.init(key, context_size, width, math.prod(logits_shape))}


def init_published(key, logits_shape: tuple[int, ...], context_size: int, *, width: int = 200) -> dict:
    """Parameters of `source_baseline`."""
    return {
        **init_baseline(key, logits_shape, context_size, width=width),
        COLLECTION: {"drift": jnp.zeros(logits_shape)},
    }


def source_baseline(
    key,
    logits,
    reward: SparseReward,
    *,
    kind: MaskKind,
    params: dict,
    context: Float[Array, "batch inputs"] | None = None,
    decay: float = 0.99,
) -> Estimate:
    """m (delta - b(x)) + omega in the values, nothing in the logits: the rule as published, and so biased.

    (dx/dtheta)^T (delta - b) + omega, omega the moving average over batches of (dx/dtheta)^T b, where theta are the
    values themselves: dx/ds = m. In layers below, where theta is shared by examples, omega is applied to each example's
    values and not to the sum over them. The published rule has no score term. b follows delta where a mask is on.
    """
    mask = kind.sample(key, logits)[0]
    value = reward(mask)
    slope = _slope(reward, mask)
    baseline = _baseline(params, context, mask)
    average = params[COLLECTION]["drift"]
    correction = jax.lax.stop_gradient(average[None] - mask * baseline)
    learning = _fit(baseline, slope, mask) + moving_average.follow(average, mask * baseline, decay)
    return Estimate(value, value + zero(total(reward.values * correction)) + learning)


def source_baseline_unbiased(
    key,
    logits,
    reward: SparseReward,
    *,
    kind: MaskKind,
    params: dict,
    context: Float[Array, "batch inputs"] | None = None,
    samples: int = 2,
) -> Estimate:
    """Leave-one-out in the logits; in the values the mean over masks of m (delta - b(x)), plus p b(x), exactly.

    b sees no mask, hence E[m b] = p b: where the published omega drifts after that mean over batches, here it is known
    for each example. The masks' own score term is that of `rloo`.
    """
    masks = kind.sample(key, logits, samples)
    baseline = _baseline(params, context, logits)
    correction = jax.lax.stop_gradient((kind.probs(logits) - jnp.mean(masks, axis=0)) * baseline)
    learning = jnp.mean(jax.vmap(lambda mask: _fit(baseline, _slope(reward, mask), mask))(masks), axis=0)
    value, surrogate = combine_leaving_one_out(*evaluate(masks, logits, reward, kind=kind))
    return Estimate(value, surrogate + zero(total(reward.values * correction)) + learning)


def _slope(reward: SparseReward, mask):
    """delta = dr/dx at x = m * s, held."""
    value, pull = jax.vjp(reward.rest, reward.hidden(mask))
    return jax.lax.stop_gradient((pull(jnp.ones_like(value))[0] @ reward.weights.T).reshape(mask.shape))


def _baseline(params, context, like):
    return small_network.of_input(params["baseline"], context, len(like)).reshape(like.shape)


def _fit(baseline, slope, mask):
    """Minus half the squared error of b where it acts, as a surrogate term."""
    return zero(-0.5 * total(mask * (slope - baseline) ** 2))
