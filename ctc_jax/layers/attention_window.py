"""A window of Gaussian filters on an image (Gregor et al. 2015, arXiv:1502.04623, section 3.2).

Tests: tests/layers/test_attention_window.py.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Logarithms of stride, variance and intensity: a factor of e^8 is more than any image has use for.
LOGARITHMS = (-8.0, 8.0)


class AttentionWindow(NamedTuple):
    """size x size Gaussian filters, at equal distances around a center.

    Attributes:
      across: a row for each filter of the horizontal axis, weights of the image's columns that sum to 1.
      down: the same of the vertical axis and the image's rows.
      intensity: what is read is multiplied by, and what is written divided by.
    """

    across: Float[Array, "batch size width"]
    down: Float[Array, "batch size height"]
    intensity: Float[Array, " batch"]

    @classmethod
    def of(cls, parameters: Float[Array, "batch 5"], shape: tuple[int, int], size: int) -> "AttentionWindow":
        """The window of five numbers: center across and down (-1 to 1 is the image), log variance, log stride, log
        intensity.

        Where all are 0, it covers the image evenly.

        Args:
          parameters: in float32.
          shape: height and width of the image.
          size: filters on each axis.
        """
        height, width = shape
        x, y, *logarithms = jnp.moveaxis(parameters, -1, 0)
        variance, stride, intensity = (jnp.exp(jnp.clip(logarithm, *LOGARITHMS)) for logarithm in logarithms)
        stride *= (max(height, width) - 1) / max(1, size - 1)
        across, down = (
            filter_bank(0.5 * (extent - 1) + 0.5 * (extent + 1) * center, stride, variance, size, extent)
            for center, extent in ((x, width), (y, height))
        )
        return cls(across, down, intensity)

    def read(self, images: Float[Array, "batch height width channels"]) -> Float[Array, "batch size size channels"]:
        """What the filters see, of each channel alike."""
        seen = jnp.einsum("bih,bhwc,bjw->bijc", self.down, images, self.across)
        return self.intensity[:, None, None, None] * seen

    def write(self, patch: Float[Array, "batch size size channels"]) -> Float[Array, "batch height width channels"]:
        """The patch where the filters are: their transpose."""
        written = jnp.einsum("bih,bijc,bjw->bhwc", self.down, patch, self.across)
        return written / self.intensity[:, None, None, None]


def whole_image(shape: tuple[int, int], size: int, *, writes: bool) -> tuple[float, ...]:
    """The five numbers of a window that covers the image evenly, half as wide as far apart: where learning starts.

    With all five at 0 the filters of a small window see the corners alone, for thousands of steps. One that writes
    paints a patch of ones about as ones.
    """
    extent = max(shape)
    stride = extent / size
    relative = stride * max(1, size - 1) / max(1, extent - 1)
    return 0.0, 0.0, 2.0 * math.log(0.5 * stride), math.log(relative), -2.0 * math.log(stride) if writes else 0.0


def filter_bank(
    center: Float[Array, " batch"],
    stride: Float[Array, " batch"],
    variance: Float[Array, " batch"],
    size: int,
    extent: int,
) -> Float[Array, "batch size extent"]:
    """Gaussians at `size` places around a center, over the pixels 0 to extent - 1 of one axis; each sums to 1."""
    places = center[:, None] + (jnp.arange(size) - 0.5 * (size - 1))[None] * stride[:, None]
    distances = jnp.arange(extent)[None, None] - places[:, :, None]
    # A softmax is that quotient, and finite where the window has left the image as well.
    return jax.nn.softmax(-0.5 * distances**2 / variance[:, None, None], axis=-1)
