"""p(x | class): its only unknown is the likelihood's own mask. Tests: tests/models/test_class_conditional.py."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Integer
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked
from ctc_jax.models.chain import Observed

LABEL = "label"


class ClassNetwork(nn.Module):
    """The founding text's shifted, contrast-changed dog made exact: log p(x | class), with nothing to infer.

    Labels are given, not modeled: every log-probability is conditional on the label, and generation draws labels
    evenly. Class embedding, dense layers, features per pixel, likelihood.

    Attributes:
      likelihood: features -> distribution on pixels.
      image_shape: height, width, channels.
      maximum: the highest pixel level, 2**bits - 1.
      classes: number of classes.
      width: units of the embedding and of a hidden layer.
      blocks: hidden layers.
      features: features per pixel handed to the likelihood.
      activation: the nonlinearity.
      dtype: compute type.
    """

    likelihood: nn.Module
    image_shape: tuple[int, int, int]
    maximum: int
    classes: int
    width: int
    blocks: int
    features: int
    activation: Callable
    dtype: DTypeLike

    @property
    def latents(self) -> tuple[str, ...]:
        """The label, which is given."""
        return (LABEL,)

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """There are no masks."""
        return ()

    def inputs(self, images: Integer[Array, "batch height width channels"]) -> Float[Array, "batch ..."]:
        """Pixels in [-1, 1]."""
        return images.astype(jnp.float32) * (2.0 / self.maximum) - 1.0

    def encode(self, batch: Batch) -> Int[Array, " batch"]:
        """The labels."""
        return batch.label  # type: ignore[return-value]

    def begin(self, count: int) -> int:
        """The size of the batch."""
        return count

    def prior_of(self, name: str, hidden: int) -> Observed:
        """Any class, evenly."""
        return Observed(None, hidden, self.classes)

    def posterior_of(self, name: str, features: Int[Array, " batch"], hidden: int, prior: Any, step: Any) -> Observed:
        """The label, with certainty."""
        return Observed(features, hidden, self.classes)

    def advance(self, name: str, hidden: int, latent: Masked) -> Int[Array, " batch"]:
        """The label."""
        return latent.value

    @nn.compact
    def pixels(self, hidden: Int[Array, " batch"]) -> Distribution:
        """p(x | class)."""
        features = nn.Embed(self.classes, self.width, dtype=self.dtype)(hidden)
        for _ in range(self.blocks):
            features = self.activation(nn.Dense(self.width, dtype=self.dtype)(features))
        height, width, _ = self.image_shape
        features = nn.Dense(height * width * self.features, dtype=self.dtype)(features)
        return self.likelihood(features.reshape(-1, height, width, self.features))
