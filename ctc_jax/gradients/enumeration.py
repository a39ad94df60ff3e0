"""The exact gradient by a sum over all masks. Tests: tests/gradients/test_unbiased.py."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind
from ctc_jax.distributions.mask_site import MaskSite
from ctc_jax.gradients.estimator import BOTH, Nested
from ctc_jax.gradients.surrogate import Estimate, Reward


@dataclass(frozen=True)
class Enumerate(Nested):
    """The expectation and its exact gradient: categories to the power of dimensions rewards."""

    unbiased, kinds = True, BOTH
    cost = "C^D"

    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **_: Any
    ) -> Estimate:
        """sum_m q(m) r(m)."""
        del key
        masks = kind.every(logits)
        log_probs = jax.vmap(partial(kind.total_log_prob, logits))(masks)
        expectation = jnp.sum(jnp.exp(log_probs) * jax.vmap(reward)(masks), axis=0)
        return Estimate(expectation, expectation)

    def rewards(self, site: MaskSite) -> int:
        """One for every mask."""
        return site.categories**site.dimensions
