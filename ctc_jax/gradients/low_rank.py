"""Local expectations through updates of a first linear layer's output. Tests: tests/gradients/test_flips.py."""

import jax
import jax.numpy as jnp

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.gradients.flips import as_entries, check, entries
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


def low_rank_local_expectation(
    key, logits, reward: Reward, *, kind: MaskKind, places_at_once: int | None = None
) -> Estimate:
    """`local_expectation` without its linear layers: a flip adds rows of the weights to what that layer gave.

    The same estimate, key by key, as of Titsias and Lazaro-Gredilla (2015), for one linear layer, and
    places * alternatives evaluations of the rest (half as many for Bernoulli masks).

    Args:
      key: of the sample.
      logits: of the mask.
      reward: a SparseReward.
      kind: of the mask.
      places_at_once: whose hidden vectors are held in memory together; all, unless told.

    Raises:
      TypeError: the reward is no SparseReward.
    """
    check(reward, "low_rank_local_expectation")
    mask = kind.sample(key, logits)[0]
    probs = kind.probs(logits)
    of = entries(mask, probs, reward, kind)
    hidden = reward.hidden(mask)
    held = jax.lax.stop_gradient(hidden)
    own = of.own()
    value = reward.rest(hidden)

    def flipped(place):
        added = of.values[:, place, :, None] * of.weights[place][None]
        moves = of.sign[:, place, :, None] * added if of.binary else added - own[:, place, None]
        return jax.vmap(lambda move: reward.rest(held + move), in_axes=1, out_axes=1)(moves)

    places = jnp.arange(of.mask.shape[1])
    each = jax.lax.map(flipped, places, batch_size=places_at_once) if places_at_once else jax.vmap(flipped)(places)
    gains = jnp.swapaxes(each, 0, 1) - jax.lax.stop_gradient(value)[:, None, None]
    gains = jax.lax.stop_gradient(gains * of.sign)
    return Estimate(value, value + zero(total(gains * as_entries(probs, kind))))
