"""Orders in which latents are drawn: by priors alone, top down, with new looks, bottom up. Tests: test_chain.py."""

from typing import Any

from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.models.chain import BlockChain, BottomUpChain, Chain, Features, GroupedChain, Hidden, RecurrentChain
from ctc_jax.models.trace import END, Latents, Schedule
from ctc_jax.models.walk import Deferred, given, walk


class Generation:
    """Latents in generative order, where the image is not known: each is drawn from its prior."""

    defers = False

    def __init__(self, chain: Chain, count: int):
        self.chain, self.count, self.names = chain, count, chain.latents
        self.groups: tuple[tuple[str, ...], ...] = tuple((name,) for name in self.names)
        self.rolled = False
        if isinstance(chain, GroupedChain):
            self.groups, self.rolled = chain.groups, chain.rolled

    def start(self) -> Hidden:
        """Before the first latent."""
        return self.chain.begin(self.count)

    def reach(self, carry: Hidden, name: str) -> Hidden:
        """The chain's own way, where it has blocks."""
        return self.chain.reach(name, carry) if isinstance(self.chain, BlockChain) else carry

    def own(self, names: tuple[str, ...]) -> Any:
        """Those of the chain's blocks."""
        return self.chain.own(names) if isinstance(self.chain, BlockChain) else None

    def arrive(self, carry: Hidden, name: str, own: Any) -> Hidden:
        """The chain's own way, where it has blocks."""
        return self.chain.arrive(name, carry, own) if isinstance(self.chain, BlockChain) else carry

    def distributions(self, carry: Hidden, name: str) -> tuple[Any, Any]:
        """The prior, twice."""
        prior = self.chain.prior_of(name, carry)
        return prior, prior

    def advance(self, carry: Hidden, name: str, latent: Masked) -> Hidden:
        """The chain's own way."""
        return self.chain.advance(name, carry, latent)

    def finish(self, carry: Hidden) -> tuple[Distribution, Deferred]:
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


class Recurrent(TopDown):
    """Inference in generative order, where what a posterior sees of the image changes with what was drawn."""

    chain: RecurrentChain

    def start(self) -> tuple[Features, Hidden]:
        """Before the first look at the image."""
        return self.features, super().start()

    def arrive(self, carry: tuple[Features, Hidden], name: str, own: Any) -> tuple[Features, Hidden]:
        """Another look."""
        features, hidden = carry
        return self.chain.look(features, hidden), hidden

    def distributions(self, carry: tuple[Features, Hidden], name: str) -> tuple[Any, Any]:
        """Posterior and prior, both given the latents before."""
        features, hidden = carry
        prior = self.chain.prior_of(name, hidden)
        return self.chain.posterior_of(name, features, hidden, prior, self.schedule.step), prior

    def advance(self, carry: tuple[Features, Hidden], name: str, latent: Masked) -> tuple[Features, Hidden]:
        """The chain's own way."""
        features, hidden = carry
        return features, super().advance(hidden, name, latent)

    def finish(self, carry: tuple[Features, Hidden]) -> tuple[Distribution, Deferred]:
        """No prior is left open."""
        return super().finish(carry[1])


class BottomUp:
    """Inference from the image upwards: a posterior sees what was drawn below it.

    The prior of a latent then depends on draws that depend on its own, so that E log p is sampled while E log q is
    analytic; only that of the first in generative order is known before.
    """

    defers = True
    rolled = False

    def __init__(self, chain: BottomUpChain, batch: Batch, schedule: Schedule = END):
        self.chain, self.batch, self.schedule = chain, batch, schedule
        self.names = tuple(reversed(chain.latents))
        self.groups = tuple((name,) for name in self.names)

    def start(self) -> tuple[Features, Latents]:
        """The image's own features, and no latent."""
        return self.chain.encode(self.batch), {}

    def reach(self, carry: tuple[Features, Latents], name: str) -> tuple[Features, Latents]:
        """There are no blocks."""
        return carry

    def own(self, names: tuple[str, ...]) -> None:
        """There are no blocks."""

    def arrive(self, carry: tuple[Features, Latents], name: str, own: None) -> tuple[Features, Latents]:
        """There are no blocks."""
        return carry

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

    def finish(self, carry: tuple[Features, Latents]) -> tuple[Distribution, Deferred]:
        """The way down with all latents given."""
        way_down = Generation(self.chain, len(self.batch.image))
        trace = walk(way_down, given(carry[1]))
        return trace.pixels, {name: (trace.sites[name].prior, trace.latents[name]) for name in self.names[:-1]}
