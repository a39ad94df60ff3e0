"""Local expectations through updates of a first linear layer's output. Tests: tests/gradients/test_flips.py."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.distributions.mask_site import MaskSite
from ctc_jax.gradients.estimator import BOTH, Nested
from ctc_jax.gradients.flips import by_category, sampled_mask
from ctc_jax.gradients.sparse_reward import SparseReward
from ctc_jax.gradients.surrogate import Estimate, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class LowRankLocalExpectation(Nested):
    """`LocalExpectation` without its linear layers: a flip adds rows of the weights to what that layer gave.

    The same estimate, key by key, as of Titsias and Lazaro-Gredilla (2015), for one linear layer, and dimensions *
    categories evaluations of the rest (half as many for gates).
    """

    dimensions_at_once: int = option(0, "whose hidden vectors are in memory together; 0 is all", at_least=0)

    unbiased, kinds = True, BOTH
    needs_sparse_reward = True
    cost = "1 + D (C - 1), after the linear layer"

    def estimate(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: SparseReward,
        *,
        kind: MaskKind,
        **_: Any,
    ) -> Estimate:
        """The rest of the reward after each flip of a mask."""
        mask = kind.sample(key, logits)[0]
        probs = kind.probs(logits)
        sampled = sampled_mask(mask, probs, reward, kind)
        hidden = reward.hidden(mask)
        fixed = jax.lax.stop_gradient(hidden)
        own = sampled.own()
        value = reward.rest(hidden)

        def flipped(dimension):
            added = sampled.values[:, dimension, :, None] * sampled.weights[dimension][None]
            moves = sampled.sign[:, dimension, :, None] * added if sampled.binary else added - own[:, dimension, None]
            return jax.vmap(lambda move: reward.rest(fixed + move), in_axes=1, out_axes=1)(moves)

        dimensions = jnp.arange(sampled.mask.shape[1])
        if self.dimensions_at_once:
            each = jax.lax.map(flipped, dimensions, batch_size=self.dimensions_at_once)
        else:
            each = jax.vmap(flipped)(dimensions)
        gains = jnp.swapaxes(each, 0, 1) - jax.lax.stop_gradient(value)[:, None, None]
        gains = jax.lax.stop_gradient(gains * sampled.sign)
        return Estimate(value, value + zero(total(gains * by_category(probs, kind))))

    def rewards(self, site: MaskSite) -> int:
        """One of a mask, and one after each of its flips."""
        return 1 + site.dimensions * (site.categories - 1)
