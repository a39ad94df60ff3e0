"""The source author's baseline, and an unbiased form. Tests: tests/gradients/test_source_baseline.py.

Both take a `SparseReward` and act on the gradient in its values s, with x = m * s and delta = dr/dx.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients import small_network
from ctc_jax.gradients.estimator import BOTH, Context, Nested
from ctc_jax.gradients.moving_average import COLLECTION, follow
from ctc_jax.gradients.rloo import RLOO
from ctc_jax.gradients.sparse_reward import SparseReward
from ctc_jax.gradients.surrogate import Estimate, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class SourceBaseline(Nested):
    """m (delta - b(x)) + omega in the values, nothing in the logits: the rule as published, and so biased.

    (dx/dtheta)^T (delta - b) + omega, omega the moving average over batches of (dx/dtheta)^T b, where theta are the
    values themselves: dx/ds = m. In layers below, where theta is shared by examples, omega is applied to each example's
    values and not to the sum over them. The published rule has no score term. b follows delta where a mask is on.
    """

    decay: float = option(0.99, "of the moving average, per step", at_least=0.0, below=1.0)
    width: int = option(200, "hidden units of the baseline", at_least=1)

    unbiased, kinds = False, BOTH
    learned = "a baseline of the input on dr/dx, and a moving average of its effect"
    needs_sparse_reward, values_alone = True, True

    def init(self, key: Key[Array, ""], logits_shape: tuple[int, ...], context_size: int) -> dict:
        """A baseline and an average of 0."""
        network = small_network.init(key, context_size, self.width, math.prod(logits_shape))
        return {"baseline": network, COLLECTION: {"drift": jnp.zeros(logits_shape)}}

    def estimate(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: SparseReward,
        *,
        kind: MaskKind,
        params: dict,
        context: Context,
        **_: Any,
    ) -> Estimate:
        """The reward of a mask."""
        mask = kind.sample(key, logits)[0]
        value = reward(mask)
        slope = _slope(reward, mask)
        baseline = _baseline(params, context, mask)
        average = params[COLLECTION]["drift"]
        correction = jax.lax.stop_gradient(average[None] - mask * baseline)
        learning = _fit(baseline, slope, mask) + follow(average, mask * baseline, self.decay)
        return Estimate(value, value + zero(total(reward.values * correction)) + learning)


@dataclass(frozen=True)
class SourceBaselineUnbiased(Nested):
    """Leave-one-out in the logits; in the values the mean over masks of m (delta - b(x)), plus p b(x), exactly.

    b sees no mask, hence E[m b] = p b: where the published omega drifts after that mean over batches, here it is known
    for each example. The masks' own score term is that of `RLOO`.
    """

    samples: int = option(2, "masks drawn per example", at_least=2)
    width: int = option(200, "hidden units of the baseline", at_least=1)

    unbiased, kinds = True, BOTH
    learned = "a baseline of the input on dr/dx"
    needs_sparse_reward = True

    def init(self, key: Key[Array, ""], logits_shape: tuple[int, ...], context_size: int) -> dict:
        """A baseline of 0."""
        return {"baseline": small_network.init(key, context_size, self.width, math.prod(logits_shape))}

    def estimate(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: SparseReward,
        *,
        kind: MaskKind,
        params: dict,
        context: Context,
        **_: Any,
    ) -> Estimate:
        """The rewards of all masks, and their slopes."""
        masks = kind.sample(key, logits, self.samples)
        baseline = _baseline(params, context, logits)
        correction = jax.lax.stop_gradient((kind.probs(logits) - jnp.mean(masks, axis=0)) * baseline)
        learning = jnp.mean(jax.vmap(lambda mask: _fit(baseline, _slope(reward, mask), mask))(masks), axis=0)
        log_masks = jax.vmap(partial(kind.total_log_prob, logits))(masks)
        value, surrogate = RLOO().combine(jax.vmap(reward)(masks), log_masks)  # type: ignore[type-var]
        return Estimate(value, surrogate + zero(total(reward.values * correction)) + learning)


def _slope(reward: SparseReward, mask: Float[Array, "batch *masks"]) -> Float[Array, "batch *masks"]:
    """delta = dr/dx at x = m * s, without a gradient."""
    value, pull = jax.vjp(reward.rest, reward.hidden(mask))
    return jax.lax.stop_gradient((pull(jnp.ones_like(value))[0] @ reward.weights.T).reshape(mask.shape))


def _baseline(params: dict, context: Context, like: Float[Array, "batch *masks"]) -> Float[Array, "batch *masks"]:
    """b(x), of the shape of the masks."""
    return small_network.of_input(params["baseline"], context, len(like)).reshape(like.shape)


def _fit(
    baseline: Float[Array, "batch *masks"], slope: Float[Array, "batch *masks"], mask: Float[Array, "batch *masks"]
) -> Float[Array, " batch"]:
    """Minus half the squared error of b where it acts, as a surrogate term."""
    return zero(-0.5 * total(mask * (slope - baseline) ** 2))
