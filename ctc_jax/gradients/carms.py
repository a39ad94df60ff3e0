"""Categorical masks that exclude one another (CARMS; Dimitriev and Zhou 2021, arXiv:2110.14002).

Tests: tests/gradients/test_carms.py, test_unbiased.py.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import CATEGORICAL, MaskKind, total
from ctc_jax.gradients.arms import correlation, sample
from ctc_jax.gradients.estimator import Nested
from ctc_jax.gradients.stick_breaking import broken, none_before, taken, unsorted
from ctc_jax.gradients.surrogate import Estimate, Reward, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class CARMS(Nested):
    """`ARMS` for the binary choices that break a stick, in ascending order of the logits.

    1/(K (K - 1)) sum over pairs i, j of w_ij (r_i - r_j) m_i, dimension by dimension, with w_ij = p_a p_b / P(a, b) for
    categories a of m_i and b of m_j: what a pair is less likely than two independent masks, so that the mean is that
    of leave-one-out. As choices of different sticks are independent, P is a product over those up to the first taken.
    Two categories are `ARMS`.
    """

    samples: int = option(2, "masks drawn per example", at_least=2)

    unbiased, kinds = True, frozenset({CATEGORICAL})

    def estimate(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], reward: Reward, *, kind: MaskKind, **_: Any
    ) -> Estimate:
        """The rewards of all masks of the copula."""
        del kind
        order, sticks = broken(jax.lax.stop_gradient(logits))
        log_takes = jax.nn.log_sigmoid(sticks)
        takes = sample(key, log_takes, self.samples)
        ascending = taken(takes, none_before(takes))
        masks = jax.vmap(lambda mask: unsorted(mask, order))(ascending)
        rewards = jax.vmap(reward)(masks)
        place = jnp.argmax(ascending, axis=-1)
        first = jnp.minimum(place[:, None], place[None])
        weights = jnp.exp(_at(log_weights(log_takes, self.samples), first))
        signals = jax.lax.stop_gradient(rewards[:, None] - rewards[None]) / (self.samples * (self.samples - 1))
        signals = jnp.sum(signals.reshape(*signals.shape, *(1,) * (logits.ndim - 2)) * weights, axis=1)
        slope = jnp.sum(signals[..., None] * masks, axis=0)
        value = jnp.mean(rewards, axis=0)
        return Estimate(value, value + zero(total(slope * logits)))


def log_weights(log_takes: Float[Array, "*choices"], samples: int) -> Float[Array, "..."]:
    """log p_a p_b / P(a, b) of two different categories, by the place of the first of them, one more than choices.

    With pi the probability of taking and rho the correlation of two masks' choices, neither takes with probability
    (1 - pi)^2 + rho pi (1 - pi), and one alone does with pi (1 - pi)(1 - rho). The last place is never the first.
    """
    rho = correlation(log_takes, samples)
    neither = -jnp.log1p(rho * jnp.exp(log_takes - jnp.log1p(-jnp.exp(log_takes))))
    before = jnp.cumsum(neither, axis=-1) - neither
    here = before - jnp.log1p(-rho)
    return jnp.concatenate([here, jnp.zeros_like(here[..., :1])], axis=-1)


def _at(values: Float[Array, "*masks"], places: Any) -> Float[Array, "..."]:
    """The value of each place; `places` has further axes in front."""
    return jnp.take_along_axis(jnp.broadcast_to(values, (*places.shape, values.shape[-1])), places[..., None], -1)[
        ..., 0
    ]
