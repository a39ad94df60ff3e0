"""A chain of one Gaussian code: what a VAE's networks share. Tests: tests/models/test_vae.py."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution, standard
from ctc_jax.models.chain import Amortized
from ctc_jax.posteriors import AbstractPosterior

CODE = "z"


class OneLatent(nn.Module):
    """p(x | z) p(z), p(z) = N(0, I) (Kingma and Welling 2014); a subclass defines `hidden` and `decode`.

    Attributes:
      likelihood: features -> distribution on pixels.
      posterior: hidden features -> a draw of q(z|x).
      image_shape: height, width, channels.
      maximum: the highest pixel level, 2**bits - 1.
    """

    likelihood: nn.Module
    posterior: AbstractPosterior
    image_shape: tuple[int, int, int]
    maximum: int

    @property
    def latents(self) -> tuple[str, ...]:
        """The code alone."""
        return (CODE,)

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """There are no masks."""
        return ()

    def hidden(self, images: Integer[Array, "batch height width channels"]) -> Float[Array, "batch features"]:
        """The encoder's last features."""
        raise NotImplementedError

    def decode(self, code: Float[Array, "batch latents"]) -> Distribution:
        """p(x|z)."""
        raise NotImplementedError

    def inputs(self, images: Integer[Array, "batch height width channels"]) -> Float[Array, "batch ..."]:
        """Pixels in [-1, 1]."""
        return images.astype(jnp.float32) * (2.0 / self.maximum) - 1.0

    def encode(self, batch: Batch) -> Float[Array, "batch features"]:
        """As `hidden`."""
        return self.hidden(batch.image)

    def begin(self, count: int) -> int:
        """The size of the batch."""
        return count

    def prior_of(self, name: str, hidden: int) -> MaskedDistribution:
        """N(0, I)."""
        return standard((hidden, self.posterior.latents))

    def posterior_of(self, name: str, features: Any, hidden: Any, prior: MaskedDistribution, step: Any) -> Amortized:
        """The family that a config names."""
        return Amortized(self.posterior, features)

    def advance(self, name: str, hidden: int, latent: Masked) -> Float[Array, "batch latents"]:
        """The code."""
        return latent.product

    def pixels(self, hidden: Float[Array, "batch latents"]) -> Distribution:
        """p(x|z)."""
        return self.decode(hidden)
