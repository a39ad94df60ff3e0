"""Slopes made unbiased by a few exact flips; docs/own-estimator.md. Tests: tests/gradients/test_flips.py.

Both estimators here see the reward along a flip as slope + curvature + remainder. The first two are summed over all
flips in closed form, which costs a few products with the linear layer; the remainder is sampled.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients.flips import Entries, as_entries, check, draw, entries
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


def single_flips(key, logits, reward: Reward, *, kind: MaskKind, flips: int = 16, samples: int = 1) -> Estimate:
    """Unbiased, for any rest: slopes at the mask, one curvature an example, `flips` exact flips for what is left.

    A flip that moves hidden by d is taken to change the reward by g.d + k |d|^2, where g is the slope at the sampled
    mask and k, which corrects a flip, is the mean ratio found on the *other* flips.

    Args:
      key: of the masks and flips.
      logits: of the mask.
      reward: a SparseReward.
      kind: of the mask.
      flips: rewards besides that of each mask; the linear layer is not evaluated for them.
      samples: masks averaged over; each has flips of its own.

    Raises:
      TypeError: the reward is no SparseReward.
      ValueError: fewer than 2 flips.
    """
    check(reward, "single_flips")
    if flips < 2:
        raise ValueError(f"single_flips: {flips} flips; allowed: 2 or more")

    def one(key):
        mask_key, flip_key = jax.random.split(key)
        mask = kind.sample(mask_key, logits)[0]
        value, hidden, probs, of = _at(mask, logits, reward, kind)
        lengths = of.squared_lengths()
        drawn = draw(flip_key, of, of.effect * lengths, flips)
        remainder = _rewards(reward, hidden, drawn.moves) - value[:, None]
        remainder -= jnp.einsum("bnh,bh->bn", drawn.moves, _slope(reward.rest, hidden))
        moved = drawn.of(lengths)
        ratios = jnp.where(moved > 0, remainder / jnp.where(moved > 0, moved, 1.0), 0.0)
        # Independent of the flip it corrects, or the correction would not have the mean it should.
        others = (jnp.sum(ratios, axis=-1, keepdims=True) - ratios) / (flips - 1)
        everywhere = jnp.mean(others, axis=-1)[:, None, None] * lengths * of.sign
        return value, probs, everywhere, drawn, remainder - others * moved

    return _mean(one, key, samples)


def diagonal_flips(
    key, logits, reward: Reward, *, kind: MaskKind, flips: int = 2, samples: int = 1, control_values: bool = True
) -> Estimate:
    """Unbiased for any rest, and meant for one that acts on each hidden unit alone (a linear decoder of pixels).

    The Hessian of such a rest is diagonal, so one derivative along the vector of ones gives it, and a flip is taken to
    change the reward by g.d + d.(c d) / 2. Slopes vary with the other places' masks; that variation, to first order,
    has mean 0 and is subtracted. What remains is of third order in the values, and zero for a quadratic rest.

    Args:
      key: of the masks and flips.
      logits: of the mask.
      reward: a SparseReward.
      kind: of the mask.
      flips: rewards besides that of each mask; the linear layer is not evaluated for them.
      samples: masks averaged over; each has flips of its own.
      control_values: take the first-order part, whose mean is known, out of the gradient in the values as well.

    Raises:
      TypeError: the reward is no SparseReward.
      ValueError: no flip.
    """
    check(reward, "diagonal_flips")
    if flips < 1:
        raise ValueError(f"diagonal_flips: {flips} flips; allowed: 1 or more")
    mean_hidden = jax.lax.stop_gradient(reward.hidden(kind.probs(logits)))
    slope_at_mean, at_mean = _slope_and_curvature(reward.rest, mean_hidden)

    def one(key):
        mask_key, flip_key = jax.random.split(key)
        mask = kind.sample(mask_key, logits)[0]
        value, hidden, probs, of = _at(mask, logits, reward, kind)
        slope, curvature = _slope_and_curvature(reward.rest, hidden)
        drawn = draw(flip_key, of, of.effect * of.squared_lengths(), flips)
        remainder = _rewards(reward, hidden, drawn.moves) - value[:, None]
        remainder -= jnp.einsum("bnh,bnh->bn", drawn.moves, slope[:, None] + 0.5 * drawn.moves * curvature[:, None])
        squares = of.values**2 * jnp.einsum("bh,dah->bda", curvature, of.weights**2)
        # First-order change of the slope with the masks of all places, then without the flipped place's own share.
        change = at_mean * (hidden - mean_hidden)
        if control_values:
            value += zero(_value_control(of, slope_at_mean, at_mean, change, as_entries(reward.values, kind)))
        if of.binary:
            everywhere = 0.5 * of.sign * squares - of.values * jnp.einsum("bh,dah->bda", change, of.weights)
            own = of.values**2 * jnp.einsum("bh,dah->bda", at_mean, of.weights**2)
            everywhere += (of.mask - of.probs) * own
        else:
            own = of.own()
            along = at_mean[:, None] * (own - of.mean()) - curvature[:, None] * own - change[:, None]
            everywhere = 0.5 * squares + of.values * jnp.einsum("bdh,dah->bda", along, of.weights)
        return value, probs, everywhere, drawn, remainder

    return _mean(one, key, samples)


def _value_control(of: Entries, slope, curvature, change, values):
    """To be added to a reward: it takes m_da W_da.(g0 + c0 (h - E h)) off the values' gradient, adds its mean.

    With m_da = 1 the mean of h is E h plus what d adds less what it adds in the mean, whatever the other places do.
    """
    taken = of.mask * jnp.einsum("bh,dah->bda", slope + change, of.weights)
    squares = of.values * jnp.einsum("bh,dah->bda", curvature, of.weights**2)
    if of.binary:
        from_place = (1.0 - of.probs) * squares
    else:
        from_place = squares - jnp.einsum("bdh,dah->bda", curvature[:, None] * of.mean(), of.weights)
    added = of.probs * (jnp.einsum("bh,dah->bda", slope, of.weights) + from_place)
    return total(jax.lax.stop_gradient(added - taken) * values)


def _at(mask, logits, reward, kind):
    """Reward (its gradient: values and decoder pathwise, logits straight through), hidden, mean, entries."""
    probs = kind.probs(logits)
    hidden = reward.hidden(mask + zero(probs))
    return reward.rest(hidden), jax.lax.stop_gradient(hidden), probs, entries(mask, probs, reward, kind)


def _mean(one: Callable, key, samples: int) -> Estimate:
    """Over masks: the reward, and the logits' gradient by all flips alike and by those drawn."""

    def surrogate(key):
        value, probs, everywhere, drawn, remainder = one(key)
        # In the order of the entries; a place of a Bernoulli mask is one entry.
        probs = probs.reshape(everywhere.shape)
        everywhere, sampled = jax.lax.stop_gradient((everywhere, drawn.weight * remainder))
        return value, total(everywhere * probs) + jnp.sum(sampled * drawn.of(probs), axis=-1)

    values, logit_terms = jax.vmap(surrogate)(jax.random.split(key, samples))
    value = jnp.mean(values, axis=0)
    return Estimate(jax.lax.stop_gradient(value), value + zero(jnp.mean(logit_terms, axis=0)))


def _rewards(reward, hidden, moves):
    return jax.vmap(lambda move: reward.rest(hidden + move), in_axes=1, out_axes=1)(moves)


def _slope(rest, hidden):
    return jax.lax.stop_gradient(jax.grad(lambda hidden: jnp.sum(rest(hidden)))(hidden))


def _slope_and_curvature(rest, hidden):
    return jax.lax.stop_gradient(
        jax.jvp(jax.grad(lambda hidden: jnp.sum(rest(hidden))), (hidden,), (jnp.ones_like(hidden),))
    )
