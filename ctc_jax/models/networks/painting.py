"""A chain that paints one canvas in equal steps: what DRAW's networks share. Tests: tests/models/test_draw.py."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.distributions import MaskSite
from ctc_jax.layers.recurrent_state import RecurrentState
from ctc_jax.posteriors import AbstractPosterior, PathPosterior

Images = Float[Array, "batch height width channels"]


class Painting(NamedTuple):
    """What the decoder has come to.

    Attributes:
      state: of its recurrent network.
      canvas: features of every pixel, float32, to which each step adds.
    """

    state: RecurrentState
    canvas: Float[Array, "batch height width features"]


class PaintingNetwork(nn.Module):
    """z_1, ..., z_T, of which a recurrent decoder paints a canvas, and a recurrent encoder that sees what it lacks; a
    subclass defines both. One set of parameters serves all steps.

    Attributes:
      likelihood: features -> distribution on pixels, of the canvas.
      posterior: what the encoder found -> a draw of q.
      trajectory: what then moves the latents of all steps together; or None.
      image_shape: height, width, channels.
      maximum: the highest pixel level, 2**bits - 1.
      glimpses: steps T.
      width: units of each recurrent network, or its channels.
      features: features per pixel of the canvas.
      dtype: compute type of the layers; states and canvas are float32.
    """

    likelihood: nn.Module
    posterior: AbstractPosterior
    trajectory: PathPosterior | None
    image_shape: tuple[int, int, int]
    maximum: int
    glimpses: int
    width: int
    features: int
    dtype: DTypeLike

    def setup(self) -> None:
        """What states and canvas start from."""
        zeros = nn.initializers.zeros
        self.first_canvas = self.param("first_canvas", zeros, (*self.image_shape[:2], self.features))
        self.first_decoder, self.first_encoder = (
            RecurrentState(*(self.param(f"first_{part}_{of}", zeros, (self.width,)) for of in ("output", "cell")))
            for part in ("decoder", "encoder")
        )

    @property
    def latents(self) -> tuple[str, ...]:
        """One a step."""
        digits = len(str(self.glimpses))
        return tuple(f"z_{step + 1:0{digits}}" for step in range(self.glimpses))

    @property
    def groups(self) -> tuple[tuple[str, ...]]:
        """All steps are alike."""
        return (self.latents,)

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """There are no masks."""
        return ()

    def inputs(self, images: Integer[Array, "batch height width channels"]) -> Images:
        """Pixels in [-1, 1]."""
        return images.astype(jnp.float32) * (2.0 / self.maximum) - 1.0

    def lacking(self, image: Images, hidden: Painting) -> Images:
        """The image less its mean given the canvas so far, pixels in [-1, 1]."""
        return image - (self.unfinished(hidden).mean * (2.0 / self.maximum) - 1.0)

    def pixels(self, hidden: Painting) -> Distribution:
        """p(x | the canvas)."""
        return self.likelihood(hidden.canvas)

    def unfinished(self, hidden: Painting) -> Distribution:
        """p(x | the canvas) at any time."""
        return self.pixels(hidden)

    def trajectory_features(self, features: Any) -> Float[Array, "batch pixels"]:
        """The image itself."""
        return features.image.reshape(len(features.image), -1)

    @property
    def stroke_start(self) -> Any:
        """Initializer of the layer that paints: the sum of all strokes starts as large as one of them."""
        return nn.initializers.variance_scaling(1.0 / self.glimpses, "fan_in", "truncated_normal")


def repeated(start: Any, shape: tuple[int, ...]) -> Any:
    """What is learned for one place, at all places of that shape."""
    return jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf.reshape((1,) * len(shape) + leaf.shape), (*shape, *leaf.shape)), start
    )
