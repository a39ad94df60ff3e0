"""Mask logits and values of each unit of a layer, before units are grouped. Tests: test_mask_parameters.py."""

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from ctc_jax.distributions import BernoulliTimesContinuous, CategoricalTimesContinuous
from ctc_jax.gradients import BERNOULLI, CATEGORICAL
from ctc_jax.layers.positionwise import positionwise

# The probability of what a hard mask leaves out is exp(-CERTAIN), exactly 0, and 0 times its logarithm is 0, not NaN.
CERTAIN = 1e4


def check_beta(beta: float | None) -> None:
    """Refuses a beta that ties no mask to a value.

    Raises:
      ValueError: not above 0, and not None.
    """
    if beta is not None and not beta > 0:  # NaN is not above 0
        raise ValueError(f"beta is {beta}; allowed: above 0, or None for free logits")


class UnitParameters(NamedTuple):
    """What a mask over units is made from, each of shape `[batch, ..., units]`, float32.

    Attributes:
      logits: nats; where `hard`, what a mask is the largest or the positive one of.
      loc: of the values.
      scale: their standard deviation; None where they are deterministic.
      hard: the mask is certain.
    """

    logits: Float[Array, "batch ..."]
    loc: Float[Array, "batch ..."]
    scale: Float[Array, "batch ..."] | None
    hard: bool

    def arranged(self, arrange: Callable[[Array], Array]) -> "UnitParameters":
        """The units in another arrangement."""
        scale = None if self.scale is None else arrange(self.scale)
        return UnitParameters(arrange(self.logits), arrange(self.loc), scale, self.hard)

    def changed(self, change: "UnitParameters", *, tied: bool) -> "UnitParameters":
        """Logits plus those of a change, locations moved by so many of their scales, scales times those of the change.

        The KL of values so changed to these is 1/2 sum (loc^2 + scale^2 - 1) - log scale of the change alone: narrow
        values do not make it explode, as a step in nats of their own would.

        Args:
          change: neither it nor this is hard or deterministic.
          tied: logits are those of the locations, and move as they do.
        """
        logits = self.logits + (self.scale * change.logits if tied else change.logits)
        return UnitParameters(logits, self.loc + self.scale * change.loc, self.scale * change.scale, hard=False)

    @property
    def values(self) -> Distribution:
        """Normal, or Delta where deterministic."""
        return dist.Delta(self.loc) if self.scale is None else dist.Normal(self.loc, self.scale)

    def gates(self) -> BernoulliTimesContinuous:
        """A gate a unit."""
        logits = CERTAIN * (2.0 * BERNOULLI.harden(self.logits) - 1.0) if self.hard else self.logits
        return BernoulliTimesContinuous(logits, self.values)

    def choices(self, off: bool = False) -> CategoricalTimesContinuous:
        """A one-hot mask over the units of the last axis; an off state has logit 0."""
        logits = self.logits
        if off:
            # Logits are relative, so a free layer loses nothing; a tied one compares with a value of 0.
            logits = jnp.concatenate([logits, jnp.zeros_like(logits[..., :1])], axis=-1)
        if self.hard:
            logits = CERTAIN * CATEGORICAL.harden(logits)
        return CategoricalTimesContinuous(logits, self.values, off=off)


class MaskParameters(nn.Module):
    """Mask logits, location and scale of every unit from its pre-activation, which is the location.

    Tied logits are beta times the location (not times the value drawn: mask and values are independent given the
    features, which makes the KL analytic). Free ones are a dense layer of the features.

    Attributes:
      beta: of tied logits, above 0; `math.inf` for certain masks, by which no gradient flows; None for free logits.
      gaussian: values are Gaussian, with a scale learned as a function of the features; else deterministic.
      logits_start: initializer of free logits' kernel.
      scale: of Gaussian values at the start.
    """

    beta: float | None
    gaussian: bool
    logits_start: Callable = nn.linear.default_kernel_init
    scale: float = 1.0

    @nn.compact
    def __call__(
        self, features: Float[Array, "batch ..."], pre_activation: Float[Array, "batch ..."] | None = None
    ) -> UnitParameters:
        """Of every unit.

        Args:
          features: `[batch, ..., features]`.
          pre_activation: the values' locations, `[batch, ..., units]`; by default the features themselves.
        """
        features = features.astype(jnp.float32)
        loc = features if pre_activation is None else pre_activation.astype(jnp.float32)
        hard = self.beta is not None and math.isinf(self.beta)
        if hard:
            logits = loc
        elif self.beta is not None:
            logits = self.beta * loc
        else:
            logits = positionwise(nn.Dense(loc.shape[-1], kernel_init=self.logits_start, name="logits"), features)
        scale = None
        if self.gaussian:
            # Within the limits of DiagonalGaussian.
            small = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
            start = nn.initializers.constant(math.log(self.scale))
            dense = nn.Dense(loc.shape[-1], kernel_init=small, bias_init=start, name="log_scale")
            log_scale = positionwise(dense, features)
            scale = jnp.exp(jnp.clip(log_scale, -8.0, 4.0))
        return UnitParameters(logits, loc, scale, hard)
