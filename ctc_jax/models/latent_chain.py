"""Latents drawn one after another, and gradients through their masks. Tests: tests/models/test_latent_chain.py."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.gradients import AbstractEstimator, PerSite, Score, SinglePass
from ctc_jax.gradients.surrogate import zero
from ctc_jax.models.gaussian_law import GaussianLaw
from ctc_jax.models.mask_law import MaskLaw
from ctc_jax.models.model import ElboTerms

Carry = Any
PerImage = Float[Array, " batch"]


class Ending(NamedTuple):
    """What is known once every latent is drawn, nats, `[batch]`.

    Attributes:
      log_likelihood: log p(x | latents).
      costs: what each latent adds to its KL that was not known before it was drawn.
    """

    log_likelihood: PerImage
    costs: dict[str, PerImage]


@runtime_checkable
class LatentChain(Protocol):
    """Latents of a batch in the order in which they are drawn.

    Attributes:
      names: of the latents, in that order.
    """

    names: tuple[str, ...]

    def start(self) -> Carry:
        """What the first law depends on: arrays."""

    def law(self, carry: Carry, index: int) -> tuple[GaussianLaw | MaskLaw, PerImage]:
        """q of a latent given those before it, and what of its KL is known without drawing it, nats."""

    def advance(self, carry: Carry, index: int, mask: Array | None, values: Array) -> Carry:
        """What the next law depends on, once mask and values are drawn; differentiable in both."""

    def finish(self, carry: Carry) -> Ending:
        """The end, after the last latent."""


class Draws(NamedTuple):
    """Every latent of a batch, drawn.

    Attributes:
      log_likelihood: nats.
      now: of each latent's KL what was known before it was drawn, nats.
      after: what was not.
      log_masks: log q of each latent's mask, nats, for those that have one; the mask itself is held.
      latents: m * s.
      log_q: of masks and selected values of all latents, nats.
    """

    log_likelihood: PerImage
    now: dict[str, PerImage]
    after: dict[str, PerImage]
    log_masks: dict[str, PerImage]
    latents: dict[str, Array]
    log_q: PerImage

    @property
    def kl(self) -> dict[str, Float[Array, "*samples batch"]]:
        """Of each latent."""
        return {name: cost + self.after.get(name, 0.0) for name, cost in self.now.items()}


def laws(chain: LatentChain, key: Key[Array, ""]) -> dict[str, GaussianLaw | MaskLaw]:
    """q of each latent at a plain draw of those before it: that of `draw` with this key."""
    carry, found = chain.start(), {}
    for index, name in enumerate(chain.names):
        found[name], _ = chain.law(carry, index)
        carry = chain.advance(carry, index, *_take(found[name], key, index))
    return found


def draw(chain: LatentChain, key: Key[Array, ""], mask_of: Callable[[str], Callable] | None = None) -> Draws:
    """One draw of all latents.

    Args:
      chain: of a batch.
      key: of everything drawn.
      mask_of: of a latent by name, `(key, logits, *, kind)` to a mask that carries a gradient; by default masks are
        plain samples, which have none.
    """
    carry, now, log_masks, latents, log_q = chain.start(), {}, {}, {}, 0.0
    for index, name in enumerate(chain.names):
        law, now[name] = chain.law(carry, index)
        mask = mask_of(name) if mask_of is not None and law.kind is not None else None
        drawn, values = _take(law, key, index, mask)
        if drawn is not None:
            log_masks[name] = law.kind.total_log_prob(law.logits, jax.lax.stop_gradient(drawn))
        latents[name] = values if drawn is None else drawn * values
        log_q += law.log_prob_of(drawn, values)
        carry = chain.advance(carry, index, drawn, values)
    ending = chain.finish(carry)
    return Draws(ending.log_likelihood, now, ending.costs, log_masks, latents, log_q)


def elbo_terms(
    chain: LatentChain,
    key: Key[Array, ""],
    estimator: AbstractEstimator | PerSite | None,
    *,
    params: Mapping[str, Any],
    context: Float[Array, "batch features"],
    kl_weight: Array | float = 1.0,
    step: Array | None = None,
) -> ElboTerms:
    """The bound in parts, with the estimator's gradient through the masks.

    Several masks meet an estimator as its family says: one that carries its own gradient is drawn from; the score
    family takes samples of all latents, where the signal of a mask is the likelihood less the KL of what is not known
    before it is drawn; a nested one has at each mask the rest of the chain as its reward, itself estimated.

    Args:
      chain: of a batch.
      key: of everything drawn.
      estimator: of all masks, or of those of each latent; None gives them no gradient.
      params: what the estimator learns, by latent.
      context: features of the input for learned baselines.
      kl_weight: of the KL in the training loss, and so in what masks are rewarded by.
      step: of training.
    """
    if estimator is None:
        drawn = draw(chain, key)
        return ElboTerms(drawn.log_likelihood, drawn.kl)
    if isinstance(estimator, (PerSite, SinglePass)):
        drawn = draw(chain, key, lambda name: partial(estimator.of(name).mask, step=step))
        return ElboTerms(drawn.log_likelihood, drawn.kl)
    options = {"params": params, "context": context}
    if isinstance(estimator, Score):
        return _by_score(chain, key, estimator, kl_weight, **options)
    return _nested(chain, key, estimator, kl_weight, step=step, **options)


def _by_score(chain, key, estimator, kl_weight, *, params, context):
    many = jax.vmap(partial(draw, chain))(jax.random.split(key, estimator.samples))
    # What every mask may change; then, from the last latent to the first, what is known once it is drawn.
    reward = many.log_likelihood - kl_weight * sum(many.after.values(), start=0.0)
    terms = 0.0
    for name in reversed(chain.names):
        if name in many.log_masks:
            estimate = estimator.combine(
                jax.lax.stop_gradient(reward), many.log_masks[name], params=params.get(name, {}), context=context
            )
            terms += zero(estimate.surrogate)
        reward -= kl_weight * many.now[name]
    mean = {name: jnp.mean(cost, axis=0) for name, cost in many.kl.items()}
    return ElboTerms(jnp.mean(many.log_likelihood, axis=0) + terms, mean)


def _nested(chain, key, estimator, kl_weight, *, params, context, step):
    def rest(carry, index):
        """Likelihood less the weighted KL from a latent on, its gradient through masks estimated."""
        if index == len(chain.names):
            ending = chain.finish(carry)
            return ending.log_likelihood - kl_weight * sum(ending.costs.values(), start=0.0)
        name = chain.names[index]
        law, cost = chain.law(carry, index)
        mask_key, value_key = _keys(key, index)
        values = law.draw_values(value_key)

        def reward(mask):
            return rest(chain.advance(carry, index, mask, values), index + 1)

        if law.kind is None:
            return reward(None) - kl_weight * cost
        estimate = estimator(
            mask_key, law.logits, reward, kind=law.kind, params=params.get(name, {}), context=context, step=step
        )
        return estimate.surrogate - kl_weight * cost

    objective = rest(chain.start(), 0)
    # The parts come from a draw of their own, and without a gradient: that of their sum is the objective's.
    parts = jax.lax.stop_gradient(draw(chain, key))
    total = sum(parts.kl.values(), start=0.0)
    return ElboTerms(objective + kl_weight * total, parts.kl)


def _take(law, key, index, mask=None):
    """A mask, or None, and values."""
    mask_key, value_key = _keys(key, index)
    values = law.draw_values(value_key)
    if law.kind is None:
        return None, values
    if mask is None:
        return law.kind.sample(mask_key, law.logits)[0], values
    return mask(mask_key, law.logits, kind=law.kind), values


def _keys(key, index):
    return jax.random.split(jax.random.fold_in(key, index))
