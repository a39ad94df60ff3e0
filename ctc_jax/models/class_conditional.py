"""p(x | class): an image model whose only other unknown is the likelihood's own mask.

Tests: tests/models/test_class_conditional.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key

from ctc_jax.data import Batch
from ctc_jax.models.model import ElboTerms, Latents, Params, pixel_log_prob


class ClassNetwork(nn.Module):
    """Class embedding, dense layers, features a pixel, likelihood.

    Attributes:
      likelihood: features -> distribution on pixels.
      image_shape: height, width, channels.
      classes: number of classes.
      width: units of the embedding and of a hidden layer.
      blocks: hidden layers.
      features: features a pixel handed to the likelihood.
      activation: the nonlinearity.
      dtype: compute type.
    """

    likelihood: nn.Module
    image_shape: tuple[int, int, int]
    classes: int
    width: int
    blocks: int
    features: int
    activation: Callable
    dtype: DTypeLike

    @nn.compact
    def __call__(self, labels: Int[Array, " batch"]) -> dist.Distribution:
        """p(x | class)."""
        hidden = nn.Embed(self.classes, self.width, dtype=self.dtype)(labels)
        for _ in range(self.blocks):
            hidden = self.activation(nn.Dense(self.width, dtype=self.dtype)(hidden))
        height, width, _ = self.image_shape
        features = nn.Dense(height * width * self.features, dtype=self.dtype)(hidden)
        return self.likelihood(features.reshape(-1, height, width, self.features))


@dataclass(frozen=True)
class ClassConditional:
    """The founding text's shifted, contrast-changed dog made exact: log p(x | class), no latent, so no bound.

    Labels are given, not modeled: every log-probability is conditional on the label, and `generate` draws labels
    uniformly.

    Attributes:
      network: labels -> distribution on pixels.
      classes: number of classes.
      image_shape: height, width, channels.
    """

    network: nn.Module
    classes: int
    image_shape: tuple[int, int, int]
    mask_kinds: frozenset[str] = field(default=frozenset())
    mask_levels: int = 0

    def init(self, key: Key[Array, ""]) -> Params:
        """Fresh parameters, float32."""
        return self.network.init(key, jnp.zeros((1,), jnp.int32))["params"]

    def recognize(self, params: Params, key: Key[Array, ""], batch: Batch) -> tuple[Latents, Float[Array, " batch"]]:
        """The label, with certainty."""
        del params, key
        return {"label": batch.label}, jnp.zeros(len(batch.label))

    def log_joint(self, params: Params, batch: Batch, latents: Latents) -> Float[Array, " batch"]:
        """log p(x | label), exact."""
        return self.decode(params, latents).log_prob(batch.image)

    def generate(self, params: Params, key: Key[Array, ""], count: int) -> tuple[Latents, dist.Distribution]:
        """`count` labels drawn uniformly and their distributions on pixels."""
        latents = {"label": jax.random.randint(key, (count,), 0, self.classes)}
        return latents, self.decode(params, latents)

    def decode(self, params: Params, latents: Latents) -> dist.Distribution:
        """p(x | label)."""
        return self.network.apply({"params": params}, latents["label"])

    def elbo_terms(
        self,
        params: Params,
        key: Key[Array, ""],
        batch: Batch,
        mask_annealing: Array | None = None,
        step: Array | None = None,
        kl_weight: Array | float = 1.0,
    ) -> ElboTerms:
        """The exact log-likelihood; there is no KL."""
        del key, step, kl_weight
        pixels = self.decode(params, {"label": batch.label})
        return ElboTerms(pixel_log_prob(pixels, batch.image, mask_annealing), {})

    def posterior_means(self, params: Params, batch: Batch) -> dict[str, Float[Array, "batch units"]]:
        """Empty: no learned latent."""
        del params, batch
        return {}
