"""A network that is a chain of latents, as a model. Tests: tests/models/test_chain_model.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked
from ctc_jax.gradients import AbstractEstimator, Pathwise, PerSite
from ctc_jax.models.chain import CanvasChain, Chain, PathChain
from ctc_jax.models.estimated_bound import estimated_bound
from ctc_jax.models.joint_path import walk_and_move
from ctc_jax.models.model import Params
from ctc_jax.models.orders import BottomUp, Generation, TopDown
from ctc_jax.models.painting import painted
from ctc_jax.models.trace import END, Bound, Joint, Latents, Schedule, Trace
from ctc_jax.models.walk import centered, placed, sampled, tempered, walk
from ctc_jax.models.walk import given as as_given


@runtime_checkable
class Network(Protocol):
    """A flax module that is a `Chain` once it is bound to parameters; what a chain states, it states before."""

    image_shape: tuple[int, int, int]
    latents: tuple[str, ...]
    mask_sites: tuple[MaskSite, ...]

    def init(self, key: Key[Array, ""], *, method: Callable[[Chain], Any]) -> Mapping[str, Params]:
        """Fresh parameters of all that a method of the chain meets, under "params"."""

    def bind(self, variables: Mapping[str, Params]) -> Chain:
        """The chain with these parameters."""


# Parameters of an estimator, by site, beside those of the network.
LEARNED = "estimator"

PATHWISE = Pathwise()


@dataclass(frozen=True)
class ChainModel:
    """p(x | z) p(z_1) p(z_2 | z_1) ...: every model of the package, which differ in their networks alone.

    Attributes:
      network: what differs between models.
      inference: the order in which posteriors are drawn.
      estimator: the gradient through the masks, of all sites or of each.
    """

    network: Network
    inference: type[TopDown] | type[BottomUp] = TopDown
    estimator: AbstractEstimator | PerSite = PATHWISE

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.network.image_shape

    @property
    def latents(self) -> tuple[str, ...]:
        """Names in generative order."""
        return self.network.latents

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """Latents with masks, in the order in which a config names their estimators."""
        return self.network.mask_sites

    def init(self, key: Key[Array, ""]) -> Params:
        """Fresh parameters, float32: a walk at the posteriors' centers meets every layer."""
        image = jnp.zeros((1, *self.image_shape), jnp.int32)
        batch = Batch(image, jnp.zeros((1,), jnp.int32))

        def meet_every_layer(chain: Chain) -> Distribution:
            steps = self.inference(chain, batch)
            # The first of a group meets every layer, and a loop makes no parameters.
            steps.groups = tuple(names[:1] for names in steps.groups)
            if _has_path(chain):
                numbers = jnp.zeros((1, chain.trajectory.latents))  # type: ignore[attr-defined]
                chain.trajectory.meet(numbers, chain.trajectory_features(steps.features))  # type: ignore[attr-defined, union-attr]
            return walk(steps, centered).pixels

        params = self.network.init(key, method=meet_every_layer)["params"]
        learned = {
            site.name: self.estimator.of(site.name).init(jax.random.fold_in(key, index + 1), site.shape, image.size)
            for index, site in enumerate(self.mask_sites)
        }
        return {**params, LEARNED: learned} if any(learned.values()) else params

    def infer(
        self,
        params: Params,
        key: Key[Array, ""] | None,
        batch: Batch,
        *,
        given: Latents | None = None,
        schedule: Schedule = END,
    ) -> Trace:
        """Latents ~ q(z|x), masks plain samples; without a key each at the center of its posterior. Those that are
        given are scored as they are.

        Raises:
          NotImplementedError: latents are given, and the density of q is known at its own draws alone.
        """
        chain = self.bound_network(params)
        if _has_path(chain) and (key is not None or given):
            if given:
                raise NotImplementedError(f"{type(chain.trajectory).__name__} knows the density of its own draws alone")  # type: ignore[attr-defined]
            return walk_and_move(self.inference(chain, batch, schedule), key, batch, schedule)
        take = centered if key is None else sampled(key)
        take = as_given(given, take) if given else take
        return walk(self.inference(chain, batch, schedule), take, batch, schedule)

    def bound(self, params: Params, key: Key[Array, ""], batch: Batch, *, schedule: Schedule = END) -> Bound:
        """The evidence lower bound in parts, with the estimator's gradient through the masks."""
        network = self.bound_network(params)
        if _has_path(network):
            return self.infer(params, key, batch, schedule=schedule).bound
        return estimated_bound(
            self.inference(network, batch, schedule),
            key,
            batch,
            self.estimator,
            self.mask_sites,
            params=params.get(LEARNED, {}),
            context=network.inputs(batch.image).reshape(len(batch.image), -1),
            schedule=schedule,
        )

    def joint(self, params: Params, batch: Batch, latents: Latents) -> Joint:
        """log p(x, z) in its parts."""
        steps = Generation(self.bound_network(params), len(batch.image))
        return walk(steps, as_given(latents), batch).joint

    def generate(
        self,
        params: Params,
        key: Key[Array, ""],
        count: int,
        *,
        given: Mapping[str, Masked] | None = None,
        temperatures: Mapping[str, Float[Array, ""] | float] | None = None,
    ) -> tuple[Latents, Distribution]:
        """`count` latents, those that are not given drawn from their priors, and p(x | latents) of each."""
        take = sampled(key)
        if temperatures:
            take = tempered(key, jnp.stack([jnp.float32(temperatures.get(name, 1.0)) for name in self.latents]))
        trace = walk(Generation(self.bound_network(params), count), as_given(given or {}, take))
        return trace.latents, trace.pixels

    def decode(self, params: Params, latents: Latents) -> Distribution:
        """p(x | latents)."""
        count = len(jax.tree.leaves(latents)[0])
        return walk(Generation(self.bound_network(params), count), placed(latents)).pixels

    def frames(self, params: Params, latents: Latents) -> Float[Array, "times batch height width channels"] | None:
        """What a chain with a canvas has painted before the first latent and after each, in levels; None of others."""
        chain = self.bound_network(params)
        return painted(chain, latents) if isinstance(chain, CanvasChain) else None

    def bound_network(self, params: Params) -> Chain:
        """The network with these parameters: a `Chain`."""
        return self.network.bind({"params": params})


def _has_path(chain: Chain) -> bool:
    return isinstance(chain, PathChain) and chain.trajectory is not None
