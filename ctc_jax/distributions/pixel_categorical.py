"""Levels with a logit each. Tests: test_pixel_categorical.py."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, Num
from numpyro.distributions import CategoricalLogits

from ctc_jax.distributions.draw_categorical import draw_categorical
from ctc_jax.distributions.levels import channels_first, told_levels
from ctc_jax.distributions.log_categorical import log_categorical


class PixelCategorical(CategoricalLogits):
    """Levels 0..2^bits-1, each with its own logit; the last batch axis is the channels."""

    @property
    def mean(self) -> Float[Array, "..."]:
        """In levels: the categories are intensities here."""
        return self.probs @ jnp.arange(self.logits.shape[-1], dtype=self.logits.dtype)

    @property
    def mode(self) -> Int[Array, "..."]:
        """The most probable level, int32."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    def sample(self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()) -> Int[Array, "..."]:
        """Levels of shape `sample_shape + batch_shape`, int32."""
        uniform = jax.random.uniform(key, tuple(sample_shape) + self.batch_shape, self.logits.dtype)
        return draw_categorical(jnp.moveaxis(self.logits, -1, 0), uniform)

    def log_prob(self, value: Num[ArrayLike, "..."]) -> Float[Array, "..."]:
        """Log mass, nats, -inf at other numbers; leading axes of `value` may be more than those of the logits."""
        value, outside = told_levels(value, self.logits.shape[-1])
        shape = lax.broadcast_shapes(value.shape, self.batch_shape)
        channels_last = shape or (1,)
        logits = jnp.broadcast_to(self.logits, (*shape, self.logits.shape[-1])).reshape(*channels_last, -1)
        # Levels, channels, then flat positions: the order in which the output layer has computed the logits.
        logits = jnp.moveaxis(logits, (-1, -2), (0, 1))
        levels = channels_first(jnp.broadcast_to(value, shape).reshape(channels_last))
        channels = levels.shape[0]
        log_prob = log_categorical(logits.reshape(-1, channels, levels[0].size), levels.reshape(channels, -1))
        log_prob = jnp.moveaxis(log_prob.reshape(levels.shape), 0, -1).reshape(shape)
        outside = jnp.broadcast_to(outside, shape)
        return jnp.where(outside == 0, log_prob, outside)
