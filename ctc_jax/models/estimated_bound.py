"""The evidence lower bound with a gradient through masks. Tests: tests/models/test_estimated_bound.py."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked
from ctc_jax.gradients import AbstractEstimator, PerSite, Score, SinglePass, SparseReward
from ctc_jax.gradients.surrogate import zero
from ctc_jax.models.trace import Bound, Schedule
from ctc_jax.models.walk import Steps, arrived, keys, known_kl, log_likelihood, sampled, walk

PerImage = Float[Array, " batch"]


def estimated_bound(
    steps: Steps,
    key: Key[Array, ""],
    batch: Batch,
    estimator: AbstractEstimator | PerSite,
    sites: tuple[MaskSite, ...],
    *,
    params: Mapping[str, Any],
    context: Float[Array, "batch features"],
    schedule: Schedule,
) -> Bound:
    """The bound in parts, with the estimator's gradient through the masks.

    Masks meet an estimator as its base says. One that carries its own gradient is drawn from. A single mask site gives
    every other estimator the rest of the walk as its reward, with all values and latents before it drawn once and
    shared by the masks it draws. Of several sites the score family takes samples of all latents, where the signal of a
    mask is the likelihood less the KL of what is not known before it is drawn; nested ones have at each mask the rest
    of the walk as their reward, itself estimated.

    Args:
      steps: inference of a batch.
      key: of everything drawn.
      batch: images.
      estimator: of all masks, or of those of each site.
      sites: of the model.
      params: what the estimator learns, by site.
      context: features of the input for learned baselines.
      schedule: step of training, weight of the KL in the loss and so in what masks are rewarded by, and annealing.
    """
    if not sites:
        return walk(steps, sampled(key), batch, schedule).bound
    first = estimator.of(sites[0].name)
    if isinstance(first, SinglePass):
        named = {site.name for site in sites}
        # A loop has one estimator for all masks of a group.
        steps.rolled &= all(len({estimator.of(name) for name in named & set(group)}) < 2 for group in steps.groups)
        take = sampled(key, lambda name: partial(estimator.of(name).mask, step=schedule.step))  # type: ignore[attr-defined]
        return walk(steps, take, batch, schedule).bound
    options = {"params": params, "context": context}
    if isinstance(first, Score) and len(sites) > 1:
        return _by_score(steps, key, batch, first, schedule, **options)
    return _nested(steps, key, batch, first, {site.name: site for site in sites}, schedule, **options)


def _by_score(steps, key, batch, estimator, schedule, *, params, context):
    def one(key):
        trace = walk(steps, sampled(key), batch, schedule)
        log_masks = {name: site.log_mask for name, site in trace.sites.items() if site.draw.mask is not None}
        deferred = {name: site.deferred for name, site in trace.sites.items() if site.deferred is not None}
        return trace.bound, deferred, log_masks

    (likelihoods, kl), deferred, log_masks = jax.vmap(one)(jax.random.split(key, estimator.samples))
    # What every mask may change; then, from the last latent to the first, what is known once it is drawn.
    reward = likelihoods - schedule.kl_weight * sum(deferred.values(), start=0.0)
    terms = 0.0
    for name in reversed(steps.names):
        if name in log_masks:
            estimate = estimator.combine(
                jax.lax.stop_gradient(reward), log_masks[name], params=params.get(name, {}), context=context
            )
            terms += zero(estimate.surrogate)
        reward -= schedule.kl_weight * (kl[name] - deferred.get(name, 0.0))
    mean = {name: jnp.mean(cost, axis=0) for name, cost in kl.items()}
    return Bound(jnp.mean(likelihoods, axis=0) + terms, mean)


def _nested(steps, key, batch, estimator, sites, schedule, *, params, context):
    weight, names = schedule.kl_weight, steps.names

    def rest(carry, index):
        """Likelihood less the weighted KL from a latent on, its gradient through masks estimated."""
        if index == len(names):
            pixels, priors = steps.finish(carry)
            deferred = [-prior.log_prob(latent) for prior, latent in priors.values()]
            return log_likelihood(pixels, batch, schedule) - weight * sum(deferred, start=0.0)
        objective, known = at(carry, index)
        return objective - weight * known

    def at(carry, index):
        """The objective after one latent, and its own KL as far as it is known before it is drawn."""
        name = names[index]
        carry = arrived(steps, carry, name)
        posterior, prior = steps.distributions(carry, name)
        if name not in sites:
            drawn = sampled(key)(index, name, posterior, prior, None)
            return rest(steps.advance(carry, name, drawn.latent), index + 1), drawn.known
        mask_key, value_key = keys(key, index)
        values = posterior.draw_values(value_key)

        def reward(mask):
            return rest(steps.advance(carry, name, Masked(values, mask)), index + 1)

        if sites[name].linear:
            reward = SparseReward(
                values,
                steps.chain.weights(name),
                lambda projected: rest(steps.chain.enter(name, carry, projected), index + 1),
            )
        estimate = estimator(
            mask_key,
            posterior.logits,
            reward,
            kind=posterior.kind,
            params=params.get(name, {}),
            context=context,
            step=schedule.step,
        )
        return estimate.surrogate, known_kl(posterior, prior)

    objective, known = at(steps.start(), 0)
    if len(names) == 1:
        return Bound(objective, {names[0]: known})
    # The parts come from a draw of their own, and without a gradient: that of their sum is the objective's.
    parts = jax.lax.stop_gradient(walk(steps, sampled(key), batch, schedule).bound)
    total = sum(parts.kl.values(), start=0.0)
    return Bound(objective - weight * known + weight * total, parts.kl)
