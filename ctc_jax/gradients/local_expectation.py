"""Exact expectations over one dimension at a time. Tests: tests/gradients/test_unbiased.py."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind, total
from ctc_jax.distributions.mask_site import MaskSite
from ctc_jax.gradients.estimator import BOTH, Nested
from ctc_jax.gradients.surrogate import Estimate, Reward, zero


@dataclass(frozen=True)
class LocalExpectation(Nested):
    """In each dimension the exact expectation over its categories, the others as sampled (Titsias and Lazaro-Gredilla
    2015): sum_c p_dc r(m with c in dimension d)."""

    unbiased, kinds = True, BOTH
    cost = "1 + D (C - 1)"

    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **_: Any
    ) -> Estimate:
        """The reward of a mask, and those of all masks that differ from it in one dimension."""
        mask = kind.sample(key, logits)[0]
        categories = kind.alternatives(logits)
        flat = mask.reshape(len(mask), -1, *categories.shape[1:])
        flat_logits = logits.reshape(flat.shape)

        def changed(dimension, category):
            one = flat.at[:, dimension].set(jnp.broadcast_to(category, flat[:, dimension].shape))
            return jax.lax.stop_gradient(reward(one.reshape(mask.shape)))

        each = jax.vmap(lambda dimension: jax.vmap(lambda category: changed(dimension, category))(categories))(
            jnp.arange(flat.shape[1])
        )
        # Probability of each category in each dimension, differentiable: [dimensions, categories, batch].
        probs = jnp.stack(
            [jnp.exp(kind.log_prob(flat_logits, jnp.broadcast_to(one, flat.shape))).T for one in categories], axis=1
        )
        value = reward(mask)
        return Estimate(value, value + zero(total(jnp.sum(probs * each, axis=1).T)))

    def rewards(self, site: MaskSite) -> int:
        """One of a mask, and one of each mask that differs in one dimension."""
        return 1 + site.dimensions * (site.categories - 1)
