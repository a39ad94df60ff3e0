"""Gates that exclude one another (ARMS; Dimitriev and Zhou 2021).

Tests: tests/gradients/test_arms.py, test_unbiased.py.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import BERNOULLI, MaskKind, total
from ctc_jax.gradients.estimator import Nested
from ctc_jax.gradients.surrogate import Estimate, Reward, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class ARMS(Nested):
    """Gates as negatively correlated as a Dirichlet allows.

    Leave-one-out with the copula's correlation rho divided out, dimension by dimension: given one mask, another's mean
    is p + rho (m - p), hence E of 1/(K-1) sum_k (r_k - mean r)(m_k - p) is (1 - rho) times the gradient. Two masks are
    an antithetic pair, and this is `DisARM`.
    """

    samples: int = option(2, "masks drawn per example", at_least=2)

    unbiased, kinds = True, frozenset({BERNOULLI})

    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **_: Any
    ) -> Estimate:
        """The rewards of all masks of the copula."""
        del kind
        fixed = jax.lax.stop_gradient(logits)
        # Of the rarer of on and off: there the copula's correlation is the lower.
        log_rare = -jax.nn.softplus(jnp.abs(fixed))
        rare_masks = sample(key, log_rare, self.samples)
        masks = jnp.where((fixed > 0)[None], 1.0 - rare_masks, rare_masks)
        rewards = jax.vmap(reward)(masks)
        signals = jax.lax.stop_gradient(rewards - jnp.mean(rewards, axis=0, keepdims=True)) / (self.samples - 1)
        scaled = (masks - jax.nn.sigmoid(fixed)[None]) / (1.0 - correlation(log_rare, self.samples))[None]
        signals = signals.reshape(*signals.shape, *(1,) * (logits.ndim - 1))
        slope = jnp.sum(signals * scaled, axis=0)
        value = jnp.mean(rewards, axis=0)
        return Estimate(value, value + zero(total(slope * logits)))


def sample(key: Key[Array, ""], log_probs: Float[Array, "*masks"], samples: int) -> Float[Array, "samples *masks"]:
    """Masks of the copula, 1 with the probability given, at most 1/2: where a part of a uniform Dirichlet is large."""
    waits = jax.random.exponential(key, (samples, *log_probs.shape))
    parts = waits / jnp.sum(waits, axis=0, keepdims=True)
    # A part exceeds t with probability (1 - t)^(K - 1).
    return ((samples - 1) * jnp.log1p(-parts) < log_probs[None]).astype(log_probs.dtype)


def correlation(log_probs: Float[Array, "*masks"], samples: int) -> Float[Array, "*masks"]:
    """The correlation of two of the copula's masks, each on with a probability of at most 1/2, given as a logarithm."""
    probs = jnp.exp(log_probs)
    # Two parts exceed t with probability (1 - 2 t)_+^(K - 1).
    both = jnp.maximum(0.0, 2.0 * jnp.exp(log_probs / (samples - 1)) - 1.0) ** (samples - 1)
    possible = both > 0
    return jnp.where(possible, both / jnp.where(possible, probs, 1.0), 0.0) / (1.0 - probs) - probs / (1.0 - probs)
