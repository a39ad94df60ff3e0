"""Residual convolutional encoder and decoder. Tests: tests/models/test_vae.py."""

from collections.abc import Callable

import flax.linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.errors import ConfigError
from ctc_jax.layers import ResidualBlock, depth_to_space, positionwise, space_to_depth


class ConvolutionalNetwork(nn.Module):
    """3x3 residual blocks at each resolution; space-to-depth on the way down, depth-to-space on the way up.

    The image itself is never convolved: its first 2x2 patches become channels at once, and the decoder's last
    depth-to-space hands `features` features a pixel to the likelihood.

    Attributes:
      likelihood: features -> distribution on pixels.
      posterior: hidden features -> q(z|x).
      image_shape: height, width, channels; height and width are multiples of 2**levels.
      maximum: the highest pixel level, 2**bits - 1.
      width: channels of each convolution.
      levels: times the image is halved.
      blocks: residual blocks at each resolution, on each side.
      features: features a pixel handed to the likelihood.
      activation: the nonlinearity.
      dtype: compute type.
    """

    likelihood: nn.Module
    posterior: nn.Module
    image_shape: tuple[int, int, int]
    maximum: int
    width: int
    levels: int
    blocks: int
    features: int
    activation: Callable
    dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers."""

        def stack() -> list[ResidualBlock]:
            scale = (self.levels * self.blocks) ** -0.5
            return [ResidualBlock(self.activation, scale, self.dtype) for _ in range(self.blocks)]

        self.down = [nn.Dense(self.width, dtype=self.dtype) for _ in range(self.levels)]
        self.down_blocks = [stack() for _ in range(self.levels)]
        self.up_blocks = [stack() for _ in range(self.levels)]
        self.up = [nn.Dense(4 * self.width, dtype=self.dtype) for _ in range(self.levels - 1)]
        self.start = nn.Dense(self._bottom[0] * self._bottom[1] * self.width, dtype=self.dtype)
        self.out = nn.Dense(4 * self.features, dtype=self.dtype)

    @property
    def _bottom(self) -> tuple[int, int]:
        return self.image_shape[0] >> self.levels, self.image_shape[1] >> self.levels

    def __call__(self, images: Integer[Array, "batch height width channels"]) -> Distribution:
        """Encoder and decoder in turn, at the posterior's mean: initialization only."""
        return self.decode(self.encode(images).mean)

    def encode(self, images: Integer[Array, "batch height width channels"]) -> Distribution:
        """q(z|x)."""
        hidden = images.astype(self.dtype) * (2.0 / self.maximum) - 1.0
        for dense, blocks in zip(self.down, self.down_blocks, strict=True):
            hidden = positionwise(dense, space_to_depth(hidden))
            for block in blocks:
                hidden = block(hidden)
        return self.posterior(self.activation(hidden).reshape(len(images), -1))

    def decode(self, code: Float[Array, "batch latents"]) -> Distribution:
        """p(x|z)."""
        hidden = self.start(code.astype(self.dtype)).reshape(-1, *self._bottom, self.width)
        for level, blocks in enumerate(self.up_blocks):
            for block in blocks:
                hidden = block(hidden)
            if level < self.levels - 1:
                hidden = depth_to_space(positionwise(self.up[level], hidden))
        hidden = depth_to_space(positionwise(self.out, self.activation(hidden)))
        return self.likelihood(hidden)


def check_halving(image_shape: tuple[int, int, int], levels: int) -> None:
    """Refuses an image that `levels` halvings do not divide.

    Raises:
      ConfigError: `levels` is below 1, or 2**levels does not divide the height and the width.
    """
    height, width, _ = image_shape
    most = min((height & -height).bit_length(), (width & -width).bit_length()) - 1
    if not 1 <= levels <= most:
        allowed = (
            f"1 to {most}, the times a {height}x{width} image can be halved"
            if most
            else (f"no value: a {height}x{width} image cannot be halved; use model.name=mlp_vae or resize the images")
        )
        raise ConfigError("model.levels", levels, allowed)
