"""Latents drawn one after another: the one walk that all models share. Tests: tests/models/test_chain.py."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float, Integer, Key
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import GroupedCTC, MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.models.trace import END, Latents, Schedule, Site, Trace
from ctc_jax.posteriors import AbstractPosterior

Features = Any
Hidden = Any
Images = Integer[Array, "batch height width channels"]


@dataclass(frozen=True)
class Amortized:
    """The posterior of a latent that a recognition family draws.

    Attributes:
      family: with its parameters.
      hidden: what it sees, `[batch, features]`.
      prior: of the latent.
    """

    family: AbstractPosterior
    hidden: Float[Array, "batch features"]
    prior: MaskedDistribution


class Observed(NamedTuple):
    """A latent that is given with the image, and drawn evenly where it is not: nothing is paid for it.

    Attributes:
      value: `[batch]`, or None where there is no image.
      count: of the batch.
      categories: its values are 0 to categories - 1.
    """

    value: Integer[Array, " batch"] | None
    count: int
    categories: int

    def draw(self, key: Key[Array, ""] | None) -> Masked:
        """The value given, or one drawn evenly."""
        if self.value is not None:
            return Masked(self.value)
        return Masked(jax.random.randint(key, (self.count,), 0, self.categories))


@runtime_checkable
class Chain(Protocol):
    """A network with its parameters, as latents in their generative order.

    Attributes:
      image_shape: height, width, channels.
      latents: their names, in generative order.
      mask_sites: those of them that have masks, in the order in which a config names their estimators.
    """

    image_shape: tuple[int, int, int]
    latents: tuple[str, ...]
    mask_sites: tuple[MaskSite, ...]

    def inputs(self, images: Images) -> Float[Array, "batch ..."]:
        """What a recognition model sees of images, float32."""

    def encode(self, batch: Batch) -> Features:
        """What posteriors need of a batch."""

    def begin(self, count: int) -> Hidden:
        """What the first prior depends on."""

    def prior_of(self, name: str, hidden: Hidden) -> MaskedDistribution | Observed:
        """p of a latent given those before it."""

    def posterior_of(
        self, name: str, features: Features, hidden: Hidden, prior: MaskedDistribution | None, step: Array | None
    ) -> MaskedDistribution | Amortized | Observed:
        """q of a latent given the image and those before it; at a training step, or None for the end of schedules."""

    def advance(self, name: str, hidden: Hidden, latent: Masked) -> Hidden:
        """What the next prior depends on once a latent is drawn; differentiable in its value and mask."""

    def pixels(self, hidden: Hidden) -> Distribution:
        """p(x | all latents)."""


@runtime_checkable
class LinearChain(Chain, Protocol):
    """A chain in which a linear layer is all that comes next of a latent whose site says `linear`."""

    def weights(self, name: str) -> Float[Array, "entries hidden"]:
        """Of that layer, a row for each number of the latent."""

    def enter(self, name: str, hidden: Hidden, projected: Float[Array, "batch hidden"]) -> Hidden:
        """As `advance`, of the product m * s times `weights`."""


@runtime_checkable
class BottomUpChain(Chain, Protocol):
    """A chain whose posteriors can also go up through the latents drawn; there `hidden` and `prior` are None."""

    def ascend(self, name: str, features: Features, latent: Masked) -> Features:
        """What the posterior of the latent above sees."""


@runtime_checkable
class Steps(Protocol):
    """An order in which latents are drawn, and what their distributions depend on.

    Attributes:
      names: of the latents, in that order.
      defers: whether priors are known at the end alone.
    """

    names: tuple[str, ...]
    defers: bool

    def start(self) -> Any:
        """What the first posterior depends on."""

    def distributions(self, carry: Any, name: str) -> tuple[Any, Any]:
        """Posterior and prior of a latent; the prior is None where it is known at the end alone."""

    def advance(self, carry: Any, name: str, latent: Masked) -> Any:
        """What the next posterior depends on; differentiable in the latent."""

    def finish(self, carry: Any) -> tuple[Distribution, dict[str, MaskedDistribution]]:
        """p(x | latents), and the priors that were not known before."""


class Generation:
    """Latents in generative order, where the image is not known: each is drawn from its prior."""

    defers = False

    def __init__(self, chain: Chain, count: int):
        self.chain, self.count, self.names = chain, count, chain.latents

    def start(self) -> Hidden:
        """Before the first latent."""
        return self.chain.begin(self.count)

    def distributions(self, carry: Hidden, name: str) -> tuple[Any, Any]:
        """The prior, twice."""
        prior = self.chain.prior_of(name, carry)
        return prior, prior

    def advance(self, carry: Hidden, name: str, latent: Masked) -> Hidden:
        """The chain's own way."""
        return self.chain.advance(name, carry, latent)

    def finish(self, carry: Hidden) -> tuple[Distribution, dict[str, MaskedDistribution]]:
        """No prior is left open."""
        return self.chain.pixels(carry), {}


class TopDown(Generation):
    """Inference in generative order: a posterior sees the image and the latents above, as its prior does."""

    def __init__(self, chain: Chain, batch: Batch, schedule: Schedule = END):
        super().__init__(chain, len(batch.image))
        self.schedule, self.features = schedule, chain.encode(batch)

    def distributions(self, carry: Hidden, name: str) -> tuple[Any, Any]:
        """Posterior and prior, both given the latents above."""
        prior = self.chain.prior_of(name, carry)
        return self.chain.posterior_of(name, self.features, carry, prior, self.schedule.step), prior


class BottomUp:
    """Inference from the image upwards: a posterior sees what was drawn below it.

    The prior of a latent then depends on draws that depend on its own, so that E log p is sampled while E log q is
    analytic; only that of the first in generative order is known before.
    """

    defers = True

    def __init__(self, chain: BottomUpChain, batch: Batch, schedule: Schedule = END):
        self.chain, self.batch, self.schedule = chain, batch, schedule
        self.names = tuple(reversed(chain.latents))

    def start(self) -> tuple[Features, Latents]:
        """The image's own features, and no latent."""
        return self.chain.encode(self.batch), {}

    def distributions(self, carry: tuple[Features, Latents], name: str) -> tuple[Any, Any]:
        """The posterior given what was drawn below, and of the last latent the prior."""
        prior = None
        if name == self.names[-1]:
            prior = self.chain.prior_of(name, self.chain.begin(len(self.batch.image)))
        return self.chain.posterior_of(name, carry[0], None, prior, self.schedule.step), prior

    def advance(self, carry: tuple[Features, Latents], name: str, latent: Masked) -> tuple[Features, Latents]:
        """Up through the draw."""
        features, drawn = carry
        above = features if name == self.names[-1] else self.chain.ascend(name, features, latent)
        return above, {**drawn, name: latent}

    def finish(self, carry: tuple[Features, Latents]) -> tuple[Distribution, dict[str, MaskedDistribution]]:
        """The way down with all latents given."""
        way_down = Generation(self.chain, len(self.batch.image))
        trace = walk(way_down, given(carry[1]))
        return trace.pixels, {name: trace.sites[name].prior for name in self.names[:-1]}


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
    carry, latents, sites, last = steps.start(), {}, {}, len(steps.names) - 1
    for index, name in enumerate(steps.names):
        posterior, prior = steps.distributions(carry, name)
        rest = None
        if index == last and batch is not None and not steps.defers:

            def rest(latent: Masked, carry: Any = carry, name: str = name) -> Float[Array, " batch"]:
                return log_likelihood(steps.finish(steps.advance(carry, name, latent))[0], batch, schedule)

        drawn = take(index, name, posterior, prior, rest)
        carry, latents[name] = steps.advance(carry, name, drawn.latent), drawn.latent
        if not isinstance(prior, Observed):
            known = posterior if isinstance(posterior, MaskedDistribution) else None
            sites[name] = Site(drawn.latent, known, prior, drawn.log_q, drawn.known)
    pixels, priors = steps.finish(carry)
    for name, prior in priors.items():
        site = sites[name]
        deferred = -prior.log_prob(site.draw)
        sites[name] = site._replace(prior=prior, kl=site.kl + deferred, deferred=deferred)
    return Trace(latents, sites, pixels, 0.0 if batch is None else log_likelihood(pixels, batch, schedule))


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


def given(latents: Latents, key: Key[Array, ""] | None = None) -> Take:
    """Each latent as it is given; the others, if a key is there for them, drawn from what `steps` have as posterior."""

    def take(index, name, posterior, prior, rest) -> Drawn:
        if name not in latents:
            return sampled(key)(index, name, posterior, prior, rest)
        if isinstance(posterior, Observed):
            return Drawn(latents[name], 0.0, 0.0)
        log_q = posterior.log_prob(latents[name])
        return Drawn(latents[name], log_q, log_q - prior.log_prob(latents[name]))

    return take


def placed(latents: Latents) -> Take:
    """Each latent as it is given and not scored: for what comes of latents, which may be products without a mask."""

    def take(index, name, posterior, prior, rest) -> Drawn:
        return Drawn(latents[name], 0.0, 0.0)

    return take


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


def keys(key: Key[Array, ""], index: int) -> tuple[Key[Array, ""], Key[Array, ""]]:
    """Of the mask and of the values of the latent at a place in the order."""
    mask_key, value_key = jax.random.split(jax.random.fold_in(key, index))
    return mask_key, value_key


def _plain(key, logits, *, kind):
    return kind.sample(key, logits)[0]


def _amortized(posterior: Amortized, key, prior, rest) -> Drawn:
    flat = prior.values.to_event(1)
    log_joint = None
    if posterior.family.needs_log_joint:

        def log_joint(value: Float[Array, "batch latents"]) -> Float[Array, " batch"]:
            return flat.log_prob(value) + rest(Masked(value))

    drawn = posterior.family(key, posterior.hidden, flat, log_joint)
    kl = drawn.log_q - flat.log_prob(drawn.latent) if drawn.kl is None else drawn.kl
    return Drawn(Masked(drawn.latent), drawn.log_q, kl)
