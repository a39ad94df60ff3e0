"""Locations and scales of a value family from decoder features. Tests: test_value_outputs.py."""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions import MaskGroup
from ctc_jax.likelihoods.output_layer import OutputLayer, values_last

# Log levels that one unit of a scale's own parameter is worth. An optimizer with steps of a given size moves a lone
# parameter much less than an output of the network, the sum over many; a scale that lags behind the locations costs
# every pixel.
LOG_SCALE_UNIT = 10.0


class ValueOutputs(nn.Module):
    """Parameters of K values in each channel, and further outputs that start at 0.

    Locations start evenly over the range of levels where a mask has one pixel, else in the middle, set apart by the
    kernel's random start alone, which is three times as wide: K constants cover a pixel's range, but not that of a
    larger group. Scales start at `fixed_scale`.

    Attributes:
      components: K.
      channels: of the image.
      bits: levels are 0..2^bits-1.
      scale: where scales come from, a key of `scale.SCALES`.
      fixed_scale: in levels.
      masks: further outputs, averaged over each group.
      others: further outputs at every position.
      mask_group: the pixels of a group.
    """

    components: int
    channels: int
    bits: int
    scale: str
    fixed_scale: float
    masks: int = 0
    others: int = 0
    mask_group: MaskGroup = MaskGroup(1)

    @nn.compact
    def __call__(
        self, features: Float[Array, "*batch height width features"]
    ) -> tuple[
        Float[Array, "masks groups"],
        Float[Array, "others positions"],
        Float[Array, "*batch height width K channels"],
        Float[Array, "*batch height width K channels"],
    ]:
        """Outputs of groups and of positions, locations in levels, log-scales in log levels."""
        number, half_range = self.components * self.channels, (2**self.bits - 1) / 2
        pixel = MaskGroup(1)
        apart = self.components if self.mask_group == pixel else 1
        middles = tuple((2 * (k % apart) + 1) / apart - 1 for k in range(self.components)) * self.channels
        log_start = math.log(self.fixed_scale)
        units: tuple[tuple[float, ...], ...] = ((half_range,) * number, (1.0,) * self.masks, (1.0,) * self.others)
        start: tuple[tuple[float, ...], ...] = (middles, (0.0,) * self.masks, (0.0,) * self.others)
        gains: tuple[float, ...] = (0.1 if self.mask_group == pixel else 0.3, 0.1, 0.1)
        mean_over: tuple[MaskGroup, ...] = (pixel, self.mask_group, pixel)
        if self.scale == "pixel":
            units, start = (*units, (1.0,) * number), (*start, (log_start,) * number)
            gains, mean_over = (*gains, 0.1), (*mean_over, pixel)
        loc, masks, others, *rest = OutputLayer(units, start, gains, mean_over, name="output")(features)
        values, positions = (self.channels, self.components), features.shape[:-1]
        loc = values_last(loc + half_range, values, positions)
        if self.scale == "pixel":
            return masks, others, loc, values_last(rest[0], values, positions)
        shape = (1 if self.scale == "shared" else self.components, self.channels)
        if self.scale == "fixed":
            constant = jnp.full(shape, log_start, jnp.float32)
        else:
            initial = nn.initializers.constant(log_start / LOG_SCALE_UNIT)
            constant = LOG_SCALE_UNIT * self.param("log_scale", initial, shape, jnp.float32)
        constant = constant.reshape((1,) * (loc.ndim - 2) + shape)
        return masks, others, loc, jnp.broadcast_to(constant, loc.shape)
