"""Dense encoder and decoder around a latent made of masks. Tests: tests/models/test_mask_vae.py."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.models.mask_law import MaskLaw, MaskShape


class MaskNetwork(nn.Module):
    """Dense layers on the flattened image; without hidden layers, logits are linear in pixels, and pixels in latents.

    The decoder's first layer stands apart from `rest`, so that estimators can work on what it gives.

    Attributes:
      likelihood: features -> distribution on pixels.
      latent: kind, number and size of the masks.
      image_shape: height, width, channels.
      maximum: the highest pixel level, 2**bits - 1.
      widths: units of the encoder's hidden layers; the decoder has the same in reverse.
      features: features a pixel handed to the likelihood.
      activation: the nonlinearity.
      mean_image: what is subtracted from images scaled to [0, 1], flattened; empty scales them to [-1, 1] instead.
      learned_prior: whether p(z) has parameters.
      dtype: compute type, of all but the layers next to the latent: these are float32.
    """

    likelihood: nn.Module
    latent: MaskShape
    image_shape: tuple[int, int, int]
    maximum: int
    widths: tuple[int, ...]
    features: int
    activation: Callable
    mean_image: tuple[float, ...]
    learned_prior: bool
    dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers."""
        height, width, _ = self.image_shape
        self.down = [nn.Dense(units, dtype=self.dtype) for units in self.widths]
        self.posterior = nn.Dense(self.latent.parameters, kernel_init=self._start)
        first, *others = (*reversed(self.widths), height * width * self.features)
        # As many entries as places are not 0, whatever the number of categories.
        self.first = nn.Dense(first, kernel_init=nn.initializers.normal(self.latent.places**-0.5))
        self.up = [nn.Dense(units, dtype=self.dtype) for units in others]
        if self.learned_prior:
            self.prior_law = self.param("prior_law", nn.initializers.zeros, (self.latent.parameters,))

    def __call__(self, images: Integer[Array, "batch height width channels"]) -> Distribution:
        """Encoder and decoder in turn, at the posterior's mean: initialization only."""
        return self.rest(self.first(self.encode(self.inputs(images)).mean.reshape(len(images), -1)))

    def inputs(self, images: Integer[Array, "batch height width channels"]) -> Float[Array, "batch pixels"]:
        """What the encoder sees of images, float32."""
        scaled = images.reshape(len(images), -1).astype(jnp.float32) / self.maximum
        return scaled - jnp.asarray(self.mean_image)[None] if self.mean_image else 2.0 * scaled - 1.0

    def encode(self, inputs: Float[Array, "batch pixels"]) -> MaskLaw:
        """q(z|x)."""
        hidden = inputs.astype(self.dtype)
        for layer in self.down:
            hidden = self.activation(layer(hidden))
        return self.latent.law(self.posterior(hidden.astype(jnp.float32)))

    def prior(self, count: int) -> MaskLaw:
        """p(z), `count` times."""
        zeros = jnp.zeros((count, self.latent.parameters))
        return self.latent.law(zeros + self.prior_law[None] if self.learned_prior else zeros)

    def rest(self, hidden: Float[Array, "batch hidden"]) -> Distribution:
        """p(x|z), of what the decoder's first layer gives."""
        hidden = hidden.astype(self.dtype)
        for layer in self.up:
            hidden = layer(self.activation(hidden))
        height, width, _ = self.image_shape
        return self.likelihood(hidden.reshape(-1, height, width, self.features))

    def _start(self, key, shape, dtype):
        # As in posteriors/diagonal.py: logits and locations at full gain, or a code says nothing of its image at first.
        full, small = (nn.initializers.variance_scaling(gain, "fan_in", "truncated_normal") for gain in (1.0, 0.01))
        key_full, key_small = jax.random.split(key)
        scales = self.latent.entries if self.latent.valued else 0
        parts = [full(key_full, (shape[0], shape[1] - scales), dtype)]
        if scales:
            parts.append(small(key_small, (shape[0], scales), dtype))
        return jnp.concatenate(parts, axis=1)
