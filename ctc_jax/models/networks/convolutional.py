"""Residual convolutional encoder and decoder. Tests: tests/models/test_vae.py."""

from collections.abc import Callable

import flax.linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.layers import ResidualBlock, depth_to_space, positionwise, space_to_depth
from ctc_jax.models.networks.one_latent import OneLatent


class ConvolutionalNetwork(OneLatent):
    """3x3 residual blocks at each resolution; space-to-depth on the way down, depth-to-space on the way up.

    The image itself is never convolved: its first 2x2 patches become channels at once, and the decoder's last
    depth-to-space hands `features` features per pixel to the likelihood.

    Attributes:
      width: channels of each convolution.
      levels: times the image is halved; height and width are multiples of 2**levels.
      blocks: residual blocks at each resolution of the encoder.
      decoder_blocks: of the decoder, linear where it is 0; None is as many, and one nonlinearity before the likelihood.
      features: features per pixel handed to the likelihood.
      activation: the nonlinearity.
      dtype: compute type.
      convolution_dtype: that of convolutions.
    """

    width: int
    levels: int
    blocks: int
    decoder_blocks: int | None
    features: int
    activation: Callable
    dtype: DTypeLike
    convolution_dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers."""

        def stack(blocks: int) -> list[ResidualBlock]:
            scale = max(1, self.levels * blocks) ** -0.5
            return [ResidualBlock(self.activation, scale, self.convolution_dtype) for _ in range(blocks)]

        self.down = [nn.Dense(self.width, dtype=self.dtype) for _ in range(self.levels)]
        up = self.blocks if self.decoder_blocks is None else self.decoder_blocks
        self.down_blocks = [stack(self.blocks) for _ in range(self.levels)]
        self.up_blocks = [stack(up) for _ in range(self.levels)]
        self.up = [nn.Dense(4 * self.width, dtype=self.dtype) for _ in range(self.levels - 1)]
        self.start = nn.Dense(self._bottom[0] * self._bottom[1] * self.width, dtype=self.dtype)
        self.out = nn.Dense(4 * self.features, dtype=self.dtype)

    @property
    def _bottom(self) -> tuple[int, int]:
        return self.image_shape[0] >> self.levels, self.image_shape[1] >> self.levels

    def hidden(self, images: Integer[Array, "batch height width channels"]) -> Float[Array, "batch features"]:
        """The encoder's last feature map, flattened."""
        hidden = images.astype(self.dtype) * (2.0 / self.maximum) - 1.0
        for dense, blocks in zip(self.down, self.down_blocks, strict=True):
            hidden = positionwise(dense, space_to_depth(hidden))
            for block in blocks:
                hidden = block(hidden)
        return self.activation(hidden).reshape(len(images), -1)

    def decode(self, code: Float[Array, "batch latents"]) -> Distribution:
        """p(x|z)."""
        hidden = self.start(code.astype(self.dtype)).reshape(-1, *self._bottom, self.width)
        for level, blocks in enumerate(self.up_blocks):
            for block in blocks:
                hidden = block(hidden)
            if level < self.levels - 1:
                hidden = depth_to_space(positionwise(self.up[level], hidden))
        seen = hidden if self.decoder_blocks == 0 else self.activation(hidden)
        hidden = depth_to_space(positionwise(self.out, seen))
        return self.likelihood(hidden)
