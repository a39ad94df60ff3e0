"""One logistic a pixel and channel, integrated over its bins. Tests: test_logistic.py."""

import flax.linen as nn
from jaxtyping import Array, Float

from ctc_jax.distributions import DiscretizedLogistic, IndependentPixels
from ctc_jax.likelihoods.value_outputs import ValueOutputs, check_scale


class Logistic(nn.Module):
    """Attributes are those of `ValueOutputs`."""

    channels: int
    bits: int
    scale: str = "pixel"
    fixed_scale: float = 8.0

    @nn.compact
    def __call__(self, features: Float[Array, "*batch height width features"]) -> IndependentPixels:
        """The distribution on images of levels 0..2^bits-1."""
        values = ValueOutputs(1, self.channels, self.bits, self.scale, self.fixed_scale, name="values")
        _, _, loc, log_scale = values(features)
        return IndependentPixels(DiscretizedLogistic(loc[..., 0, :], log_scale[..., 0, :], bits=self.bits))


def build(config, *, channels: int, bits: int) -> Logistic:
    """From the config's `likelihood` section.

    Raises:
      ConfigError: `scale` or `fixed_scale` is not allowed.
    """
    scale, fixed_scale = check_scale(config)
    return Logistic(channels, bits, scale, fixed_scale)
