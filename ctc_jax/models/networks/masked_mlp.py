"""Dense encoder and decoder around one code of masks. Tests: tests/models/test_mask_vae.py."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.layers.dense_ctc import DenseCTC
from ctc_jax.layers.som_pooling import SOMPooling
from ctc_jax.models.networks.one_latent import CODE


class MaskedMLP(nn.Module):
    """Dense layers on the flattened image; without hidden layers, logits are linear in pixels, and pixels in latents.

    Every KL is analytic in the masks' probabilities. The decoder's first layer stands apart, so that estimators can
    work on what it gives. With `pooling`, q(z|x) has the masks G p and values G s of a self-organizing map in place of
    p and s, and so has its KL; the prior and the decoder know nothing of it, so that p(x, z) is the same model at every
    sigma.

    Attributes:
      likelihood: features -> distribution on pixels.
      latent: kind, number and size of the masks.
      image_shape: height, width, channels.
      maximum: the highest pixel level, 2**bits - 1.
      widths: units of the encoder's hidden layers.
      decoder_widths: of the decoder's.
      features: features per pixel handed to the likelihood.
      activation: the nonlinearity.
      mean_image: what is subtracted from images scaled to [0, 1], flattened; empty scales them to [-1, 1] instead.
      learned_prior: whether p(z) has parameters.
      pooling: of q's alternatives with their neighbors, or None.
      signed: whether the decoder sees 2 m - 1 in place of the latent m.
      dtype: compute type, of all but the layers next to the latent: these are float32.
    """

    likelihood: nn.Module
    latent: DenseCTC
    image_shape: tuple[int, int, int]
    maximum: int
    widths: tuple[int, ...]
    decoder_widths: tuple[int, ...]
    features: int
    activation: Callable
    mean_image: tuple[float, ...]
    learned_prior: bool
    pooling: SOMPooling | None
    signed: bool
    dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers."""
        height, width, _ = self.image_shape
        self.down = [nn.Dense(units, dtype=self.dtype) for units in self.widths]
        self.posterior = nn.Dense(self.latent.parameters, kernel_init=self.latent.start)
        first, *others = (*self.decoder_widths, height * width * self.features)
        # As many numbers as masks are not 0, whatever the number of categories.
        start = nn.initializers.normal(self.latent.masks**-0.5)
        self.first = FirstLayer(self.latent.units, first, start)
        self.up = [nn.Dense(units, dtype=self.dtype) for units in others]
        if self.learned_prior:
            self.prior_law = self.param("prior_law", nn.initializers.zeros, (self.latent.parameters,))

    @property
    def latents(self) -> tuple[str, ...]:
        """The code alone."""
        return (CODE,)

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """The code alone."""
        return (MaskSite(CODE, self.latent.kind, self.latent.shape, self.latent.valued, linear=True),)

    def inputs(self, images: Integer[Array, "batch height width channels"]) -> Float[Array, "batch pixels"]:
        """What the encoder sees of images, float32."""
        scaled = images.reshape(len(images), -1).astype(jnp.float32) / self.maximum
        return scaled - jnp.asarray(self.mean_image)[None] if self.mean_image else 2.0 * scaled - 1.0

    def encode(self, batch: Batch) -> Float[Array, "batch parameters"]:
        """Parameters of q(z|x)."""
        hidden = self.inputs(batch.image).astype(self.dtype)
        for layer in self.down:
            hidden = self.activation(layer(hidden))
        return self.posterior(hidden.astype(jnp.float32))

    def begin(self, count: int) -> int:
        """The size of the batch."""
        return count

    def prior_of(self, name: str, hidden: int) -> MaskedDistribution:
        """Uniform masks times N(0, 1) values, or as learned."""
        zeros = jnp.zeros((hidden, self.latent.parameters))
        return self.latent.distribution(zeros + self.prior_law[None] if self.learned_prior else zeros)

    def posterior_of(
        self, name: str, features: Float[Array, "batch parameters"], hidden: Any, prior: Any, step: Any
    ) -> MaskedDistribution:
        """q(z|x), pooled where a self-organizing map is."""
        posterior = self.latent.distribution(features)
        return posterior if self.pooling is None else self.pooling.distribution(posterior, step)

    def weights(self, name: str) -> Float[Array, "entries hidden"]:
        """Weights of the decoder's first layer on m itself: (2 m - 1) W + b = m (2 W) + (b - sum of W's rows)."""
        return 2.0 * self.first.kernel if self.signed else self.first.kernel

    def enter(self, name: str, hidden: int, projected: Float[Array, "batch hidden"]) -> Float[Array, "batch hidden"]:
        """What the first layer gives, its bias added."""
        bias = self.first.bias - jnp.sum(self.first.kernel, axis=0) if self.signed else self.first.bias
        return projected + bias[None]

    def advance(self, name: str, hidden: int, latent: Masked) -> Float[Array, "batch hidden"]:
        """Through the decoder's first layer; codes may also be flat."""
        product = latent.product
        return self.enter(name, hidden, product.reshape(len(product), -1) @ self.weights(name))

    def pixels(self, hidden: Float[Array, "batch hidden"]) -> Distribution:
        """p(x|z), of what the decoder's first layer gives."""
        hidden = hidden.astype(self.dtype)
        for layer in self.up:
            hidden = layer(self.activation(hidden))
        height, width, _ = self.image_shape
        return self.likelihood(hidden.reshape(-1, height, width, self.features))


class FirstLayer(nn.Module):
    """Kernel and bias of a dense layer, to be applied by whoever needs them apart.

    Attributes:
      entries: numbers that enter.
      features: numbers that leave.
      start: initializer of the kernel.
    """

    entries: int
    features: int
    start: Callable

    def setup(self) -> None:
        """The parameters of `nn.Dense`."""
        self.kernel = self.param("kernel", self.start, (self.entries, self.features))
        self.bias = self.param("bias", nn.initializers.zeros, (self.features,))
