"""Latents drawn one after another: the one walk of all models. Tests: tests/models/test_chain.py."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Key
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import GroupedCTC
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.models.chain import Amortized, Observed
from ctc_jax.models.trace import END, Latents, Schedule, Site, Trace

# The prior of a latent that is known at the end alone, and the latent.
Deferred = dict[str, tuple[MaskedDistribution, Masked]]


@runtime_checkable
class Steps(Protocol):
    """An order in which latents are drawn, and what their distributions depend on.

    Attributes:
      names: of the latents, in that order.
      groups: the same names, together those that differ in their parameters at most.
      defers: whether priors are known at the end alone.
      rolled: whether a loop draws the latents of a group, all as its first.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    defers: bool
    rolled: bool

    def start(self) -> Any:
        """Before the first latent."""

    def reach(self, carry: Any, name: str) -> Any:
        """From the group before to that of a latent; all but the first of a group are there."""

    def own(self, names: tuple[str, ...]) -> Any:
        """Parameters that neighbors in a group have each for itself: a leaf of all has one more axis, in front."""

    def arrive(self, carry: Any, name: str, own: Any) -> Any:
        """What posterior and prior of a latent with these parameters depend on, and what comes of it."""

    def distributions(self, carry: Any, name: str) -> tuple[Any, Any]:
        """Posterior and prior of a latent; the prior is None where it is known at the end alone."""

    def advance(self, carry: Any, name: str, latent: Masked) -> Any:
        """Past a latent; differentiable in it."""

    def finish(self, carry: Any) -> tuple[Distribution, Deferred]:
        """p(x | latents), and the priors that were not known before, each with its latent."""


class Drawn(NamedTuple):
    """A latent with its log q, and what is known of its KL before it is drawn or by its draw, nats."""

    latent: Masked
    log_q: Float[Array, " batch"]
    known: Float[Array, " batch"]


# `(index, name, posterior, prior, rest)` to a draw; `rest` is log p(x, what is drawn later | latent), or None.
Take = Callable[..., Drawn]


def walk(steps: Steps, take: Take, batch: Batch | None = None, schedule: Schedule = END) -> Trace:
    """All latents in the order of `steps`, each as `take` has it.

    Args:
      steps: the order, and the distributions.
      take: how a latent is drawn: `sampled`, `given`, `centered`.
      batch: whose likelihood is wanted; without one it is 0.
      schedule: of the likelihood.
    """
    carry = steps.start()
    latents: dict[str, Masked] = {}
    sites: dict[str, Site] = {}
    for names in steps.groups:
        if steps.rolled and len(names) > 1:
            carry, found = _rolled(steps, take, steps.reach(carry, names[0]), names, len(latents))
            latents |= {name: site.draw for name, site in found.items()}
            sites |= found
            continue
        for name in names:
            carry = arrived(steps, carry, name)
            posterior, prior = steps.distributions(carry, name)
            rest = None
            if name == steps.names[-1] and batch is not None and not steps.defers:

                def rest(latent: Masked, carry: Any = carry, name: str = name) -> Float[Array, " batch"]:
                    return log_likelihood(steps.finish(steps.advance(carry, name, latent))[0], batch, schedule)

            drawn = take(len(latents), name, posterior, prior, rest)
            carry, latents[name] = steps.advance(carry, name, drawn.latent), drawn.latent
            if not isinstance(prior, Observed):
                sites[name] = _site(drawn, posterior, prior)
    pixels, priors = steps.finish(carry)
    for name, (prior, latent) in priors.items():
        deferred = -prior.log_prob(latent)
        sites[name] = sites[name]._replace(prior=prior, kl=sites[name].kl + deferred, deferred=deferred)
    return Trace(latents, sites, pixels, 0.0 if batch is None else log_likelihood(pixels, batch, schedule))


def arrived(steps: Steps, carry: Any, name: str) -> Any:
    """Where posterior and prior of a latent are asked for, outside of loops."""
    own = jax.tree.map(lambda leaf: leaf[0], steps.own((name,)))
    return steps.arrive(steps.reach(carry, name), name, own)


def _site(drawn: Drawn, posterior: Any, prior: MaskedDistribution | None) -> Site:
    known = posterior if isinstance(posterior, MaskedDistribution) else None
    return Site(drawn.latent, known, prior, drawn.log_q, drawn.known)


def _rolled(steps: Steps, take: Take, carry: Any, names: tuple[str, ...], first: int) -> tuple[Any, dict[str, Site]]:
    """The latents of a group, the first of which has the index `first`, in a loop of the compiled program."""
    latents = {name: take.latents[name] for name in names if name in take.latents} if isinstance(take, Held) else {}
    held, there = None, jnp.asarray([name in latents for name in names])
    if latents:
        absent = jax.tree.map(jnp.zeros_like, next(iter(latents.values())))
        held = jax.tree.map(lambda *of: jnp.stack(of), *(latents.get(name, absent) for name in names))

    def drawn_at(index, latent, is_given, *of_latent):
        if held is None:
            return take(index, names[0], *of_latent)
        found = replace(take, latents={names[0]: latent})(index, names[0], *of_latent)
        if len(latents) == len(names):
            return found
        other = take.others(index, names[0], *of_latent)
        return jax.tree.map(lambda one, two: jnp.where(is_given, one, two), found, other)

    def step(carry, of_step):
        *at, own = of_step
        carry = steps.arrive(carry, names[0], own)
        posterior, prior = steps.distributions(carry, names[0])
        drawn = drawn_at(*at, posterior, prior, None)
        return steps.advance(carry, names[0], drawn.latent), _site(drawn, posterior, prior)

    indices = first + jnp.arange(len(names))
    carry, stacked = jax.lax.scan(step, carry, (indices, held, there, steps.own(names)))
    leaves, tree = jax.tree.flatten(stacked)
    # A split, whose gradient is a concatenation: that of a slice fills the whole array, once for each latent.
    parts = zip(*([part[0] for part in jnp.split(leaf, len(names))] for leaf in leaves), strict=True)
    return carry, {name: jax.tree.unflatten(tree, part) for name, part in zip(names, parts, strict=True)}


def log_likelihood(pixels: Distribution, batch: Batch, schedule: Schedule) -> Float[Array, " batch"]:
    """log p(x | latents), or its annealed lower bound where the schedule has an inverse temperature."""
    if schedule.likelihood is None or not isinstance(pixels, GroupedCTC):  # without masks it is its own annealed bound
        return pixels.log_prob(batch.image)
    return pixels.annealed_log_prob(batch.image, schedule.likelihood)


def sampled(key: Key[Array, ""], mask_of: Callable[[str], Callable] | None = None) -> Take:
    """Each latent drawn from its posterior.

    Args:
      key: of everything drawn.
      mask_of: of a latent by name, `(key, logits, *, kind)` to a mask that carries a gradient; by default masks are
        plain samples, which have none.
    """

    def take(index, name, posterior, prior, rest) -> Drawn:
        mask_key, value_key = keys(key, index)
        if isinstance(posterior, Observed):
            return Drawn(posterior.draw(value_key), 0.0, 0.0)
        if isinstance(posterior, Amortized):
            return _amortized(posterior, value_key, prior, rest)
        mask = None
        if posterior.kind is not None:
            draw = _plain if mask_of is None else mask_of(name)
            mask = draw(mask_key, posterior.logits, kind=posterior.kind)
        latent = Masked(posterior.draw_values(value_key), mask)
        return Drawn(latent, posterior.log_prob(latent), known_kl(posterior, prior))

    return take


def tempered(key: Key[Array, ""], temperatures: Float[Array, " latents"]) -> Take:
    """Each latent drawn from its prior at a temperature.

    At temperature t values are t times as far from their mean as at 1, and logits of masks are divided by it; at 0 a
    latent is at its center, values at their mean and masks at theirs.

    Args:
      key: of everything drawn.
      temperatures: of each latent in the order of the walk, 0 or more.
    """
    plain = sampled(key)

    def take(index, name, posterior, prior, rest) -> Drawn:
        drawn = plain(index, name, posterior, prior, rest)
        if isinstance(posterior, Observed):
            return drawn
        temperature, center, mask = temperatures[index], posterior.center, None
        if posterior.kind is not None:
            warm = jnp.where(temperature > 0, temperature, 1.0)
            at_it = posterior.kind.sample(keys(key, index)[0], posterior.logits / warm)[0]
            mask = jnp.where(temperature > 0, at_it, center.mask)
        value = center.value + temperature * (drawn.latent.value - center.value)
        return Drawn(Masked(value, mask), jnp.zeros(len(value)), jnp.zeros(len(value)))

    return take


@dataclass(frozen=True)
class Held:
    """Latents as they are given.

    Attributes:
      latents: by name.
      others: draws those that are not given.
      scored: whether log q and KL are wanted; latents that are not scored may be products without a mask.
    """

    latents: Latents
    others: Take | None = None
    scored: bool = True

    def __call__(self, index: Any, name: str, posterior: Any, prior: Any, rest: Any) -> Drawn:
        """One of them."""
        if name not in self.latents:
            return self.others(index, name, posterior, prior, rest)
        latent = self.latents[name]
        if not self.scored or isinstance(posterior, Observed):
            return Drawn(latent, 0.0, 0.0)
        if isinstance(posterior, Amortized):
            log_q = posterior.family.log_prob(posterior.hidden, latent.value)
        else:
            log_q = posterior.log_prob(latent)
        return Drawn(latent, log_q, log_q if prior is None else log_q - prior.log_prob(latent))


def given(latents: Latents, others: Take | None = None) -> Take:
    """Each latent as it is given, and scored; those that are not given as `others` have them."""
    return Held(latents, others)


def placed(latents: Latents) -> Take:
    """Each latent as it is given and not scored: for what comes of latents."""
    return Held(latents, scored=False)


def centered(index, name, posterior, prior, rest) -> Drawn:
    """Each latent at the center of its posterior: the mean mask and the mean values, or what the family has as such."""
    del index, name, prior, rest
    if isinstance(posterior, Observed):
        return Drawn(posterior.draw(None), 0.0, 0.0)
    if isinstance(posterior, Amortized):
        return Drawn(Masked(posterior.family.center(posterior.hidden)), 0.0, 0.0)
    return Drawn(posterior.center, 0.0, 0.0)


def known_kl(posterior: MaskedDistribution, prior: MaskedDistribution | None) -> Float[Array, " batch"]:
    """KL of a latent, or where its prior is not known yet E log q, nats."""
    return posterior.negative_entropy() if prior is None else posterior.kl(prior)


def keys(key: Key[Array, ""], index: int | Integer[Array, ""]) -> tuple[Key[Array, ""], Key[Array, ""]]:
    """The keys of the mask and of the values of the latent at an index of the order."""
    # Not a split of one folded in: a latent without masks then takes one hash, not two, each 0.2 s to compile.
    return jax.random.fold_in(key, 2 * index), jax.random.fold_in(key, 2 * index + 1)


def _plain(key, logits, *, kind):
    return kind.sample(key, logits)[0]


def _amortized(posterior: Amortized, key, prior, rest) -> Drawn:
    flat = None if prior is None else prior.values.to_event(1)
    log_joint = None
    if posterior.family.needs_log_joint:

        def log_joint(value: Float[Array, "batch latents"]) -> Float[Array, " batch"]:
            return flat.log_prob(value) + rest(Masked(value))

    drawn = posterior.family(key, posterior.hidden, flat, log_joint)
    known = drawn.kl
    if known is None:
        known = drawn.log_q if flat is None else drawn.log_q - flat.log_prob(drawn.latent)
    return Drawn(Masked(drawn.latent), drawn.log_q, known)
