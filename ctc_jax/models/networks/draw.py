"""The networks of DRAW. Tests: tests/models/test_draw.py."""

import math
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked, MaskedDistribution, standard
from ctc_jax.layers.attention_window import AttentionWindow, whole_image
from ctc_jax.layers.recurrent_state import RecurrentState
from ctc_jax.models.chain import Amortized
from ctc_jax.models.networks.painting import Images, Painting, PaintingNetwork, repeated


class Sight(NamedTuple):
    """What the encoder has come to.

    Attributes:
      image: pixels in [-1, 1].
      whole: what the image itself adds to the gates at each step, where it is seen whole.
      state: of the encoder's recurrent network.
    """

    image: Images
    whole: Float[Array, "batch gates"] | None
    state: RecurrentState


class DrawNetwork(PaintingNetwork):
    """Deep recurrent attentive writer (Gregor et al. 2015, arXiv:1502.04623): z_1, ..., z_T ~ N(0, I), of which a
    recurrent decoder paints one canvas, and q(z_t | x, z_1, ..., z_{t-1}) of a recurrent encoder that sees the image,
    what the canvas still lacks of it, and the decoder's state.

    Attributes:
      read_size: filters of the reading window on each axis; 0 reads the whole image.
      write_size: those of the writing window; 0 writes on the whole canvas.
      rolled: a loop draws all latents.
    """

    read_size: int
    write_size: int
    rolled: ClassVar[bool] = True

    def setup(self) -> None:
        """Names the layers."""
        super().setup()
        shape = (self.write_size, self.write_size) if self.write_size else self.image_shape[:2]
        self.encoder = nn.Dense(4 * self.width, dtype=self.dtype)
        self.decoder = nn.Dense(4 * self.width, dtype=self.dtype)
        self.stroke = nn.Dense(math.prod(shape) * self.features, kernel_init=self.stroke_start, dtype=self.dtype)
        if self.read_size:
            self.read_window = self._window(self.read_size, writes=False)
        else:
            self.whole = nn.Dense(4 * self.width, use_bias=False, dtype=self.dtype)
        if self.write_size:
            self.write_window = self._window(self.write_size, writes=True)

    def encode(self, batch: Batch) -> Sight:
        """Before the first look."""
        image = self.inputs(batch.image)
        whole = None if self.read_size else self.whole(image.reshape(len(image), -1))
        return Sight(image, whole, repeated(self.first_encoder, (len(image),)))

    def look(self, features: Sight, hidden: Painting) -> Sight:
        """One step of the encoder, at the image and at what the canvas lacks of it."""
        image, whole, state = features
        seen = self.lacking(image, hidden)
        if self.read_size:
            window = AttentionWindow.of(self.read_window(hidden.state.output), self.image_shape[:2], self.read_size)
            seen = window.read(jnp.concatenate([image, seen], axis=-1))
        inputs = [seen.reshape(len(seen), -1), state.output, hidden.state.output]
        gates = self.encoder(jnp.concatenate(inputs, axis=-1))
        return Sight(image, whole, state.advanced(gates if whole is None else gates + whole))

    def begin(self, count: int) -> Painting:
        """The learned start of state and canvas."""
        return repeated(Painting(self.first_decoder, self.first_canvas), (count,))

    def prior_of(self, name: str, hidden: Painting) -> MaskedDistribution:
        """N(0, I)."""
        return standard((len(hidden.canvas), self.posterior.latents))

    def posterior_of(
        self, name: str, features: Sight, hidden: Painting, prior: MaskedDistribution, step: Any
    ) -> Amortized:
        """The family that a config names, of the encoder's output."""
        return Amortized(self.posterior, features.state.output)

    def advance(self, name: str, hidden: Painting, latent: Masked) -> Painting:
        """One step of the decoder, and its stroke on the canvas."""
        state, canvas = hidden
        state = state.advanced(self.decoder(jnp.concatenate([latent.product, state.output], axis=-1)))
        stroke = self.stroke(state.output).astype(jnp.float32)
        if not self.write_size:
            return Painting(state, canvas + stroke.reshape(canvas.shape))
        window = AttentionWindow.of(self.write_window(state.output), self.image_shape[:2], self.write_size)
        patch = stroke.reshape(len(canvas), self.write_size, self.write_size, self.features)
        return Painting(state, canvas + window.write(patch))

    def _window(self, size, *, writes):
        start = jnp.asarray(whole_image(self.image_shape[:2], size, writes=writes))
        small = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
        return nn.Dense(5, kernel_init=small, bias_init=lambda *_: start)
