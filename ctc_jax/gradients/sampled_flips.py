"""Slopes made unbiased by a few exact flips; docs/own-estimator.md. Tests: tests/gradients/test_flips.py.

Both estimators here see the reward along a flip as slope + curvature + remainder. The first two are summed over all
flips in closed form, which costs a few products with the linear layer; the remainder is sampled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.distributions.mask_site import MaskSite
from ctc_jax.gradients.estimator import BOTH, Nested
from ctc_jax.gradients.flips import SampledMask, by_category, draw, sampled_mask
from ctc_jax.gradients.sparse_reward import SparseReward
from ctc_jax.gradients.surrogate import Estimate, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class SingleFlips(Nested):
    """Slopes at the mask, one curvature an example, and `flips` exact flips for what is left; for any rest.

    A flip that moves hidden by d is taken to change the reward by g.d + k |d|^2, where g is the slope at the sampled
    mask and k, which corrects a flip, is the mean ratio found on the *other* flips.
    """

    samples: int = option(2, "masks averaged over, each with flips of its own", at_least=1)
    flips: int = option(16, "sampled for a mask, each a reward without the linear layer", at_least=2)

    unbiased, kinds = True, BOTH
    needs_sparse_reward = True
    cost = "K (1 + flips), of which K flips after the linear layer"

    def estimate(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: SparseReward,
        *,
        kind: MaskKind,
        **_: Any,
    ) -> Estimate:
        """The rewards of all masks and of their flips."""

        def one(key):
            mask_key, flip_key = jax.random.split(key)
            mask = kind.sample(mask_key, logits)[0]
            value, hidden, probs, sampled = _at(mask, logits, reward, kind)
            lengths = sampled.squared_lengths()
            drawn = draw(flip_key, sampled, sampled.effect * lengths, self.flips)
            remainder = _rewards(reward, hidden, drawn.moves) - value[:, None]
            remainder -= jnp.einsum("bnh,bh->bn", drawn.moves, _slope(reward.rest, hidden))
            moved = drawn.of(lengths)
            ratios = jnp.where(moved > 0, remainder / jnp.where(moved > 0, moved, 1.0), 0.0)
            # Independent of the flip it corrects, or the correction would not have the mean it should.
            others = (jnp.sum(ratios, axis=-1, keepdims=True) - ratios) / (self.flips - 1)
            everywhere = jnp.mean(others, axis=-1)[:, None, None] * lengths * sampled.sign
            return value, probs, everywhere, drawn, remainder - others * moved

        return _mean(one, key, self.samples)

    def rewards(self, site: MaskSite) -> int:
        """One for each mask drawn, and one for each of its sampled flips."""
        del site
        return self.samples * (1 + self.flips)


@dataclass(frozen=True)
class DiagonalFlips(Nested):
    """Made for a rest that acts on each hidden unit alone (a linear decoder of pixels), unbiased for any rest.

    The Hessian of such a rest is diagonal, so one derivative along the vector of ones gives it, and a flip is taken to
    change the reward by g.d + d.(c d) / 2. Slopes vary with the other dimensions' masks; that variation, to first
    order, has mean 0 and is subtracted. What remains is of third order in the values, and zero for a quadratic rest.
    """

    samples: int = option(2, "masks averaged over, each with flips of its own", at_least=1)
    flips: int = option(2, "sampled for a mask, each a reward without the linear layer", at_least=1)
    control_values: bool = option(
        True, "take the first-order part, whose mean is known, out of the values' gradient as well"
    )

    unbiased, kinds = True, BOTH
    needs_sparse_reward = True
    cost = "K (1 + flips), of which K flips after the linear layer"

    def estimate(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: SparseReward,
        *,
        kind: MaskKind,
        **_: Any,
    ) -> Estimate:
        """The rewards of all masks and of their flips."""
        mean_hidden = jax.lax.stop_gradient(reward.hidden(kind.probs(logits)))
        slope_at_mean, at_mean = _slope_and_curvature(reward.rest, mean_hidden)

        def one(key):
            mask_key, flip_key = jax.random.split(key)
            mask = kind.sample(mask_key, logits)[0]
            value, hidden, probs, sampled = _at(mask, logits, reward, kind)
            slope, curvature = _slope_and_curvature(reward.rest, hidden)
            drawn = draw(flip_key, sampled, sampled.effect * sampled.squared_lengths(), self.flips)
            remainder = _rewards(reward, hidden, drawn.moves) - value[:, None]
            remainder -= jnp.einsum("bnh,bnh->bn", drawn.moves, slope[:, None] + 0.5 * drawn.moves * curvature[:, None])
            squares = sampled.values**2 * jnp.einsum("bh,dah->bda", curvature, sampled.weights**2)
            # First-order change of the slope with the masks of all dimensions, then without the flipped one's share.
            change = at_mean * (hidden - mean_hidden)
            if self.control_values:
                value += zero(_value_control(sampled, slope_at_mean, at_mean, change, by_category(reward.values, kind)))
            if sampled.binary:
                everywhere = 0.5 * sampled.sign * squares - sampled.values * jnp.einsum(
                    "bh,dah->bda", change, sampled.weights
                )
                own = sampled.values**2 * jnp.einsum("bh,dah->bda", at_mean, sampled.weights**2)
                everywhere += (sampled.mask - sampled.probs) * own
            else:
                own = sampled.own()
                along = at_mean[:, None] * (own - sampled.mean()) - curvature[:, None] * own - change[:, None]
                everywhere = 0.5 * squares + sampled.values * jnp.einsum("bdh,dah->bda", along, sampled.weights)
            return value, probs, everywhere, drawn, remainder

        return _mean(one, key, self.samples)

    def rewards(self, site: MaskSite) -> int:
        """One for each mask drawn, and one for each of its sampled flips."""
        del site
        return self.samples * (1 + self.flips)


def _value_control(
    sampled: SampledMask,
    slope: Float[Array, "batch hidden"],
    curvature: Float[Array, "batch hidden"],
    change: Float[Array, "batch hidden"],
    values: Float[Array, "batch dimensions categories"],
) -> Float[Array, " batch"]:
    """To be added to a reward: it takes m_da W_da.(g0 + c0 (h - E h)) off the values' gradient, adds its mean.

    With m_da = 1 the mean of h is E h plus what d adds less what it adds in the mean, whatever the other dimensions do.
    """
    taken = sampled.mask * jnp.einsum("bh,dah->bda", slope + change, sampled.weights)
    squares = sampled.values * jnp.einsum("bh,dah->bda", curvature, sampled.weights**2)
    if sampled.binary:
        from_dimension = (1.0 - sampled.probs) * squares
    else:
        from_dimension = squares - jnp.einsum("bdh,dah->bda", curvature[:, None] * sampled.mean(), sampled.weights)
    added = sampled.probs * (jnp.einsum("bh,dah->bda", slope, sampled.weights) + from_dimension)
    return total(jax.lax.stop_gradient(added - taken) * values)


def _at(
    mask: Float[Array, "batch *masks"], logits: Float[Array, "batch *masks"], reward: SparseReward, kind: MaskKind
) -> tuple[Float[Array, " batch"], Float[Array, "batch hidden"], Float[Array, "batch *masks"], SampledMask]:
    """Reward (its gradient: values and decoder pathwise, logits straight through), hidden, mean, and the mask."""
    probs = kind.probs(logits)
    hidden = reward.hidden(mask + zero(probs))
    return reward.rest(hidden), jax.lax.stop_gradient(hidden), probs, sampled_mask(mask, probs, reward, kind)


def _mean(one: Callable, key: Key[Array, ""], samples: int) -> Estimate:
    """Over masks: the reward, and the logits' gradient by all flips alike and by those drawn."""

    def surrogate(key):
        value, probs, everywhere, drawn, remainder = one(key)
        # In the order of dimensions and categories; a gate has one.
        probs = probs.reshape(everywhere.shape)
        everywhere, sampled = jax.lax.stop_gradient((everywhere, drawn.weight * remainder))
        return value, total(everywhere * probs) + jnp.sum(sampled * drawn.of(probs), axis=-1)

    values, logit_terms = jax.vmap(surrogate)(jax.random.split(key, samples))
    value = jnp.mean(values, axis=0)
    return Estimate(jax.lax.stop_gradient(value), value + zero(jnp.mean(logit_terms, axis=0)))


def _rewards(
    reward: SparseReward, hidden: Float[Array, "batch hidden"], moves: Float[Array, "batch flips hidden"]
) -> Float[Array, "batch flips"]:
    return jax.vmap(lambda move: reward.rest(hidden + move), in_axes=1, out_axes=1)(moves)


def _slope(rest: Callable, hidden: Float[Array, "batch hidden"]) -> Float[Array, "batch hidden"]:
    return jax.lax.stop_gradient(jax.grad(lambda hidden: jnp.sum(rest(hidden)))(hidden))


def _slope_and_curvature(
    rest: Callable, hidden: Float[Array, "batch hidden"]
) -> tuple[Float[Array, "batch hidden"], Float[Array, "batch hidden"]]:
    return jax.lax.stop_gradient(
        jax.jvp(jax.grad(lambda hidden: jnp.sum(rest(hidden))), (hidden,), (jnp.ones_like(hidden),))
    )
