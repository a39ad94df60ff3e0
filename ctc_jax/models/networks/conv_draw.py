"""The networks of convolutional DRAW. Tests: tests/models/test_draw.py."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.layers import UnitHead, Unmasked, depth_to_space, positionwise, space_to_depth
from ctc_jax.layers.recurrent_state import RecurrentState
from ctc_jax.models.chain import Amortized
from ctc_jax.models.networks.painting import Images, Painting, PaintingNetwork, repeated
from ctc_jax.models.position_posterior import PositionPosterior


class Sight(NamedTuple):
    """What the encoder has come to.

    Attributes:
      image: pixels in [-1, 1].
      state: of the encoder's recurrent network, at every position of its map.
    """

    image: Images
    state: RecurrentState


class ConvDrawNetwork(PaintingNetwork):
    """Convolutional DRAW (Gregor et al. 2016, arXiv:1604.08772), in one layer: recurrent states and latents lie on a
    map 2**levels times smaller than the image, and the convolutions on it serve all places alike.

    The prior of z_t is of the decoder's state, and q(z_t | x, z_1, ..., z_{t-1}) of the encoder's state is drawn around
    it at each position. Images and canvas are read and painted in patches.

    Attributes:
      levels: times the image is halved; height and width are multiples of 2**levels.
      rolled: whether a loop draws all latents, which XLA's CPU backend is slow at with convolutions.
      convolution_dtype: compute type of convolutions.
    """

    levels: int
    rolled: bool
    convolution_dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers."""
        super().setup()
        self.seen = nn.Dense(self.width, dtype=self.dtype)
        self.encoder = nn.Conv(4 * self.width, (3, 3), dtype=self.convolution_dtype)
        self.decoder = nn.Conv(4 * self.width, (3, 3), dtype=self.convolution_dtype)
        self.prior = UnitHead(self.posterior.latents, False, None, 1, 0.0, 1.0, 0.1)
        self.stroke = nn.Dense(4**self.levels * self.features, kernel_init=self.stroke_start, dtype=self.dtype)

    @property
    def unit_shape(self) -> tuple[int, int, int]:
        """Rows and columns of the map, and numbers of a latent at each position."""
        height, width, _ = self.image_shape
        return height >> self.levels, width >> self.levels, self.posterior.latents

    def encode(self, batch: Batch) -> Sight:
        """Before the first look."""
        image = self.inputs(batch.image)
        return Sight(image, repeated(self.first_encoder, (len(image), *self.unit_shape[:2])))

    def look(self, features: Sight, hidden: Painting) -> Sight:
        """One step of the encoder, at the image and at what the canvas lacks of it."""
        image, state = features
        both = jnp.concatenate([image, self.lacking(image, hidden)], axis=-1)
        seen = positionwise(self.seen, space_to_depth(both, 2**self.levels))
        gates = self.encoder(jnp.concatenate([seen, state.output, hidden.state.output], axis=-1))
        return Sight(image, state.advanced(gates))

    def begin(self, count: int) -> Painting:
        """The learned start of state and canvas."""
        state = repeated(self.first_decoder, (count, *self.unit_shape[:2]))
        return Painting(state, repeated(self.first_canvas, (count,)))

    def prior_of(self, name: str, hidden: Painting) -> MaskedDistribution:
        """Gaussians of the decoder's state."""
        return Unmasked().distribution(self.prior(hidden.state.output))

    def posterior_of(
        self, name: str, features: Sight, hidden: Painting, prior: MaskedDistribution, step: Any
    ) -> Amortized:
        """The family that a config names, around the prior at each position."""
        return Amortized(PositionPosterior(self.posterior, prior.values, self.unit_shape, 1), features.state.output)

    def advance(self, name: str, hidden: Painting, latent: Masked) -> Painting:
        """One step of the decoder, and its stroke on the canvas."""
        state, canvas = hidden
        units = latent.product.reshape(-1, *self.unit_shape)
        state = state.advanced(self.decoder(jnp.concatenate([units, state.output], axis=-1)))
        stroke = depth_to_space(positionwise(self.stroke, state.output), 2**self.levels)
        return Painting(state, canvas + stroke.astype(jnp.float32))
