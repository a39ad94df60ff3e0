"""Masks times continuous values, one for each alternative: the one law of m * s. Tests: test_masked.py."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key
from numpyro.distributions.kl import kl_divergence

from ctc_jax.distributions.mask_kind import BERNOULLI, CATEGORICAL, MaskKind, total


class Masked(NamedTuple):
    """A latent as it is drawn. No mask is ever told from a value: a value may be 0, or cross 0 under a Markov chain.

    Attributes:
      value: one for each alternative, selected or not, `[batch, *shape]`; ones where the masks are the latent.
      mask: m, of the shape of its logits, the off state last where there is one; None where nothing is masked.
    """

    value: Float[Array, "batch ..."]
    mask: Float[Array, "batch ..."] | None = None

    @property
    def product(self) -> Float[Array, "..."]:
        """m * s, of the shape of the values: what a decoder is given."""
        return self.value if self.mask is None else selected(self.mask, self.value)


@partial(jax.tree_util.register_dataclass, data_fields=["logits", "values"], meta_fields=["kind"])
@dataclass(frozen=True)
class MaskedDistribution:
    """Independent masks, each times one continuous value for each of its alternatives.

    The reference measure counts masks and is Lebesgue on the values they select: `log p(m, s) = log p(m) + sum_k m_k
    log f_k(s_k)`. Values that a mask does not select integrate out and are never scored. A pytree, whose leaves JAX
    also fills with shapes: hence no array types here.

    Attributes:
      kind: BERNOULLI for gates, CATEGORICAL for one-hot masks, None where nothing is masked.
      logits: nats, `[batch, *masks]` of gates, `[batch, *masks, categories]` of one-hot masks, where one category more
        than there are values is an off state; None where nothing is masked.
      values: of each alternative, a numpyro distribution with that batch shape; None where the masks are the latent.
    """

    kind: MaskKind | None
    logits: Any
    values: Any

    def draw_values(self, key: Key[Array, ""]) -> Float[Array, "batch ..."]:
        """Every value, selected or not, reparameterized; ones where the masks are the latent."""
        return jnp.ones_like(self.logits) if self.values is None else self.values.sample(key)

    def sample(self, key: Key[Array, ""]) -> Masked:
        """Masks and values; gradients flow to the values alone."""
        mask_key, value_key = jax.random.split(key)
        mask = None if self.kind is None else self.kind.sample(mask_key, self.logits)[0]
        return Masked(self.draw_values(value_key), mask)

    @property
    def center(self) -> Masked:
        """The mean mask and the mean values: their product is E[m * s]."""
        mask = None if self.kind is None else self.kind.probs(self.logits)
        return Masked(jnp.ones_like(self.logits) if self.values is None else self.values.mean, mask)

    def log_prob(self, draw: Masked) -> Float[Array, " batch"]:
        """log p of masks and of the values they select, nats; differentiable in both.

        Of a relaxed mask, which has no probability, the interpolation sum_k m_k (log p_k + log f_k(s_k)).
        """
        return total(self._of_each(draw.mask, None if self.values is None else self.values.log_prob(draw.value)))

    def log_unselected(self, draw: Masked) -> Float[Array, " batch"]:
        """log density of the values that the mask does not select, nats: beside `log_prob`, a density of all values."""
        if self.kind is None or self.values is None:
            return jnp.zeros(len(draw.value))
        return total(selected(1.0 - draw.mask, self.values.log_prob(draw.value)))

    def mask_log_prob(self, mask: Float[Array, "batch ..."]) -> Float[Array, " batch"]:
        """log p of the masks, nats."""
        return self.kind.total_log_prob(self.logits, mask)

    def negative_entropy(self) -> Float[Array, " batch"]:
        """E log p, nats: of the masks, and of the values that these select."""
        # log p is linear in the mask, so its mean is that at the mean mask.
        return total(self._of_each(self.center.mask, None if self.values is None else -self.values.entropy()))

    def kl(self, prior: "MaskedDistribution") -> Float[Array, " batch"]:
        """KL(self || prior), nats: KL(q_m || p_m) + sum_k q_k KL(q_{s_k} || p_{s_k}), exact."""
        return total(self.kl_of_each(prior))

    def kl_of_each(self, prior: "MaskedDistribution") -> Float[Array, "..."]:
        """`kl` of each mask, or of each value where nothing is masked, `[batch, *masks]`."""
        of_values = None if self.values is None else kl_divergence(self.values, prior.values)
        if self.kind is None:
            return of_values
        probs = self.kind.probs(self.logits)
        if self.kind == CATEGORICAL:
            log_q, log_p = (jax.nn.log_softmax(of.logits) for of in (self, prior))
            of_masks = jnp.sum(jnp.exp(log_q) * (log_q - log_p), axis=-1)
            return of_masks if of_values is None else of_masks + self._selected(probs, of_values)
        by_open, by_closed = (
            jax.nn.log_sigmoid(sign * self.logits) - jax.nn.log_sigmoid(sign * prior.logits) for sign in (1.0, -1.0)
        )
        return probs * (by_open if of_values is None else by_open + of_values) + (1.0 - probs) * by_closed

    @property
    def masks(self) -> "MaskedDistribution":
        """The distribution of the masks alone."""
        return MaskedDistribution(self.kind, self.logits, None)

    @property
    def categories(self) -> Float[Array, "batch *masks categories"]:
        """Probabilities of a mask's alternatives; of a gate, open and closed."""
        probs = self.kind.probs(self.logits)
        return jnp.stack([probs, 1.0 - probs], axis=-1) if self.kind == BERNOULLI else probs

    def _of_each(self, mask: Any, of_values: Any) -> Float[Array, "batch ..."]:
        """What masks have, log-linear in them, and what the values have that they select."""
        if self.kind is None:
            return of_values
        of_masks = self.kind.log_prob(self.logits, mask)
        return of_masks if of_values is None else of_masks + self._selected(mask, of_values)

    def _selected(self, mask: Float[Array, "..."], of_values: Float[Array, "..."]) -> Float[Array, "..."]:
        """What belongs to values, counted as far as a mask selects them."""
        found = selected(mask, of_values)
        return jnp.sum(found, axis=-1) if self.kind == CATEGORICAL else found


def selected(mask: Float[Array, "..."], of_values: Float[Array, "..."]) -> Float[Array, "..."]:
    """A mask times something of its values; an off state, which is last, selects none."""
    return (mask if mask.shape == of_values.shape else mask[..., : of_values.shape[-1]]) * of_values


def standard(shape: tuple[int, ...]) -> MaskedDistribution:
    """N(0, I) of shape `[batch, *shape]`, nothing masked."""
    # XLA would fold the logarithms of a constant as large as a batch at compile time, for seconds to minutes.
    zeros = jnp.broadcast_to(jax.lax.optimization_barrier(jnp.float32(0.0)), shape)
    return MaskedDistribution(None, None, dist.Normal(zeros, jnp.exp(zeros)))
