"""The network of a hierarchy with its parameters. Tests: tests/models/test_ctc_hierarchy.py."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpyro.distributions import Distribution

from ctc_jax.layers.som_pooling import SOMPooling
from ctc_jax.models import gaussian_law
from ctc_jax.models.gaussian_law import GaussianLaw
from ctc_jax.models.hierarchy_network import Features, HierarchyNetwork
from ctc_jax.models.level_family import LevelFamily
from ctc_jax.models.mask_law import MaskLaw
from ctc_jax.models.model import Latents, Params

TOP = "top"


@dataclass(frozen=True)
class AppliedNetwork:
    """What the generative way and both chains of inference are made of.

    Attributes:
      network: everything that has parameters.
      params: these.
      pooling: of the alternatives of a top code of masks with their neighbors, in q; or None.
    """

    network: HierarchyNetwork
    params: Params
    pooling: SOMPooling | None

    @property
    def families(self) -> tuple[LevelFamily | None, ...]:
        """Of the levels, from the image upwards."""
        return self.network.families

    @property
    def levels(self) -> int:
        """How many there are below the top."""
        return len(self.families)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the latents from the top downwards."""
        levels = [f"level_{level + 1}" for level, family in enumerate(self.families) if family is not None]
        return (TOP, *reversed(levels))

    def unit_shape(self, level: int) -> tuple[int, int, int]:
        """Of the units of a level, from 0."""
        return self.network.unit_shape(level)

    def apply(self, method: str, *inputs: Any) -> Any:
        """A method of the network."""
        return self.network.apply({"params": self.params}, *inputs, method=method)

    def top_prior(self, count: int) -> GaussianLaw | MaskLaw:
        """p of the top code: N(0, I), or uniform masks times such values."""
        masks = self.network.top_masks
        if masks is None:
            return gaussian_law.standard(count, self.network.latents)
        return masks.law(jnp.zeros((count, masks.parameters)))

    def top_posterior(self, features: Features, step: Int[Array, ""] | None) -> GaussianLaw | MaskLaw:
        """q of the top code."""
        law = self.apply("top_law", features)
        return law if self.pooling is None else law.pooled(self.pooling, step)

    def start(self, code: Float[Array, "batch ..."]) -> Features:
        """The first features on the way down, from the top code."""
        return self.apply("start", code.reshape(len(code), -1))

    def put_in(self, level: int, hidden: Features, latent: Float[Array, "batch ..."] | None) -> Features:
        """Features with a level's latent merged, or as its blocks leave them where it has none."""
        family = self.families[level]
        if family is None:
            return self.apply("blocks_after", level, hidden)
        return self.apply("merge", level, hidden, family.feature_map(latent, self.unit_shape(level)))

    def descend(self, latents: Latents) -> tuple[Distribution, dict[str, GaussianLaw | MaskLaw]]:
        """p(x | latents), and the prior of each latent given those above it."""
        code = latents[TOP]
        priors, hidden = {TOP: self.top_prior(len(code))}, self.start(code)
        for level in reversed(range(self.levels)):
            hidden = self.apply("expand", level, hidden)
            family, name = self.families[level], f"level_{level + 1}"
            if family is not None:
                priors[name] = family.law(self.apply("prior", level, hidden))
            hidden = self.put_in(level, hidden, latents.get(name))
        return self.apply("pixels", hidden), priors
