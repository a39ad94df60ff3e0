"""The law of a Gaussian latent, in the terms of `MaskLaw`. Tests: tests/models/test_gaussian_law.py."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import total


@dataclass(frozen=True)
class GaussianLaw:
    """Independent Gaussian places, none of them masked.

    Attributes:
      values: Gaussians, `[batch, places]`.
    """

    values: dist.Normal
    kind: ClassVar[None] = None

    def draw_values(self, key: Key[Array, ""]) -> Float[Array, "batch places"]:
        """Reparameterized."""
        return self.values.sample(key)

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch places"]:
        """As `draw_values`."""
        return self.draw_values(key)

    def log_prob(self, latent: Float[Array, "batch places"]) -> Float[Array, " batch"]:
        """Nats."""
        return total(self.values.log_prob(latent))

    def log_prob_of(self, mask: None, values: Float[Array, "batch places"]) -> Float[Array, " batch"]:
        """Nats; there is no mask."""
        del mask
        return self.log_prob(values)

    def negative_entropy(self) -> Float[Array, " batch"]:
        """E log q, nats."""
        return -total(self.values.entropy())

    def kl(self, prior: "GaussianLaw") -> Float[Array, " batch"]:
        """KL(self || prior), nats."""
        return total(dist.kl_divergence(self.values, prior.values))

    @property
    def mean(self) -> Float[Array, "batch places"]:
        """E[z]."""
        return self.values.mean


def of(distribution: dist.Distribution) -> GaussianLaw:
    """That of independent Gaussians as numpyro has them.

    Raises:
      TypeError: anything else, among it what is made of such Gaussians by a transformation.
    """
    if not (isinstance(distribution, dist.Independent) and isinstance(distribution.base_dist, dist.Normal)):
        raise TypeError(f"a Gaussian latent: {type(distribution).__name__}; allowed: Normal, made independent")
    return GaussianLaw(distribution.base_dist)


def standard(batch: int, places: int) -> GaussianLaw:
    """N(0, I)."""
    zeros = jnp.zeros((batch, places))
    return GaussianLaw(dist.Normal(zeros, jnp.ones_like(zeros)))
