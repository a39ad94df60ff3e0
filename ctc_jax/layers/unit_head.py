"""The units of a layer from features. Tests: tests/layers/test_unit_head.py."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.layers.positionwise import positionwise
from ctc_jax.layers.space_to_depth import depth_to_space
from ctc_jax.layers.units import Units

# Of a Gaussian value: exp(-8) of the prior's width is 11 bits beyond any use; above exp(4) only an exploding run goes.
LOG_SCALES = (-8.0, 4.0)


def check_beta(beta: float | None) -> None:
    """Refuses a beta that ties no mask to a value.

    Raises:
      ValueError: not above 0, and not None.
    """
    if beta is not None and not beta > 0:  # NaN is not above 0
        raise ValueError(f"beta is {beta}; allowed: above 0, or None for free logits")


class MaskParameters(nn.Module):
    """Mask logits, location and scale of every unit from its pre-activation, which is the location.

    Tied logits are beta times the location (not times the value drawn: mask and values are independent given the
    features, which makes the KL analytic). Free ones are a dense layer of the features.

    Attributes:
      beta: of tied logits, above 0; `math.inf` for certain masks, by which no gradient flows; None for free logits.
      gaussian: values are Gaussian, with a scale learned as a function of the features; else deterministic.
      masked: whether there are logits at all.
      logits_start: initializer of free logits' kernel.
      scale: of Gaussian values at the start.
    """

    beta: float | None
    gaussian: bool
    masked: bool = True
    logits_start: Callable = nn.linear.default_kernel_init
    scale: float = 1.0

    def __post_init__(self):
        check_beta(self.beta)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, features: Float[Array, "batch ..."], pre_activation: Float[Array, "batch ..."] | None = None
    ) -> Units:
        """The units, of the shape of the pre-activation.

        Args:
          features: `[batch, ..., features]`.
          pre_activation: the values' locations, `[batch, ..., units]`; by default the features themselves.
        """
        features = features.astype(jnp.float32)
        loc = features if pre_activation is None else pre_activation.astype(jnp.float32)
        hard = self.masked and self.beta is not None and math.isinf(self.beta)
        logits = None
        if hard:
            logits = loc
        elif self.masked and self.beta is not None:
            logits = self.beta * loc
        elif self.masked:
            logits = positionwise(nn.Dense(loc.shape[-1], kernel_init=self.logits_start, name="logits"), features)
        scale = None
        if self.gaussian:
            small = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
            start = nn.initializers.constant(math.log(self.scale))
            dense = nn.Dense(loc.shape[-1], kernel_init=small, bias_init=start, name="log_scale")
            scale = jnp.exp(jnp.clip(positionwise(dense, features), *LOG_SCALES))
        return Units(logits, loc, scale, hard)


class UnitHead(nn.Module):
    """Mask logits, locations and scales of the units of a feature map from features at its own or a lower resolution.

    Attributes:
      channels: units at each position.
      masked: whether logits are wanted.
      beta: of logits tied to the locations; None for logits of their own.
      patch: units of each channel that a position of the features has on each side.
      loc: of the values at the start.
      scale: their standard deviation there.
      gain: of the start of locations and logits, relative to the features: small, so that every unit starts near what
        it is a change from.
    """

    channels: int
    masked: bool
    beta: float | None
    patch: int
    loc: float
    scale: float
    gain: float

    @nn.compact
    def __call__(self, features: Float[Array, "batch height width features"]) -> Units:
        """Units `[batch, patch * height, patch * width, channels]`, float32."""
        features = features.astype(jnp.float32)
        start = nn.initializers.variance_scaling(self.gain**2, "fan_in", "truncated_normal")
        bias = nn.initializers.constant(self.loc)
        dense = nn.Dense(self.channels * self.patch**2, kernel_init=start, bias_init=bias, name="loc")
        loc = positionwise(dense, features)
        parameters = MaskParameters(
            self.beta, True, self.masked, logits_start=start, scale=self.scale, name="parameters"
        )
        return parameters(features, loc).arranged(lambda of: depth_to_space(of, self.patch))
