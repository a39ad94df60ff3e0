"""One block of a deep top-down network, with a latent. Tests: tests/models/test_top_down.py."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.layers import Bottleneck, BottleneckBlock, MaskedLayer, UnitHead, Units, positionwise, scaled_dense
from ctc_jax.models.chain import Amortized
from ctc_jax.models.position_posterior import PositionPosterior
from ctc_jax.models.walk import centered
from ctc_jax.posteriors import Family

Features = Float[Array, "batch _ _ _"]
M = TypeVar("M", bound=nn.Module)

# Of the scale of what a block sees on the way up, at the start, where q is a product with the prior: near the prior.
WIDE = 4.0


class Entered(NamedTuple):
    """Where a block stands before its latent is drawn.

    Attributes:
      own: parameters of the block.
      features: on the way down, which the posterior sees too.
      prior: of the latent.
      residual: what the prior's branch adds to the features.
    """

    own: Any
    features: Features
    prior: MaskedDistribution
    residual: Features


class LatentBlock(nn.Module):
    """A latent on a feature map, with its prior, its posterior and what it adds to the features.

    Attributes:
      family: what masks the units.
      posterior: of Gaussian units at one position; None for a change of the prior, or a product with it.
      shape: height, width and channels of the units.
      width: channels of the features.
      middle: channels of the convolutions.
      residual_scale: of what starts small with the depth of the network.
      activation: the nonlinearity.
      value_loc: of the values in the prior at the start.
      value_scale: their standard deviation there.
      beta: of mask logits tied to the values' locations; None for free logits.
      product: whether q is the product of the prior with a distribution that sees the image alone.
      rematerialize: whether what convolutions find is computed again for their gradient.
      dtype: compute type.
      convolution_dtype: that of convolutions.
    """

    family: MaskedLayer
    posterior: Family | None
    shape: tuple[int, int, int]
    width: int
    middle: int
    residual_scale: float
    activation: Callable
    value_loc: float
    value_scale: float
    beta: float | None
    product: bool
    rematerialize: bool
    dtype: DTypeLike
    convolution_dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers."""
        masked = self.family.kind is not None

        def head(loc: float, scale: float) -> UnitHead:
            return UnitHead(self.shape[-1], masked, self.beta, 1, loc, scale, gain=0.1)

        def bottleneck() -> Bottleneck:
            return again(Bottleneck, self.rematerialize)(
                self.middle, self.activation, self.dtype, self.convolution_dtype
            )

        self.before = bottleneck()
        self.of_prior = head(self.value_loc, self.value_scale)
        self.residual = scaled_dense(self.width, self.residual_scale, self.dtype)
        self.seen = bottleneck()
        if self.posterior is None:
            self.of_posterior = head(0.0, WIDE if self.product else 1.0)
        else:
            self.drawn_by = self.posterior(self.shape[-1]).clone(gain=0.1)
        self.merged = scaled_dense(self.width, self.residual_scale, self.dtype)
        block = again(BottleneckBlock, self.rematerialize)
        self.after = block(self.middle, self.activation, self.residual_scale, self.dtype, self.convolution_dtype)

    def __call__(self, features: Features, found: Features) -> Features:
        """The block with its latent at the posterior's center, by which every layer is met."""
        entered = self.enter(features, None)
        latent = centered(0, "", self.recognize(found, entered), entered.prior, None).latent
        return self.leave(entered, latent)

    def enter(self, features: Features, own: Any) -> Entered:
        """The prior, which sees the features on the way down alone.

        Args:
          features: on the way down.
          own: parameters of this block, for whom it may concern.
        """
        found = self.before(features)
        prior = self.family.distribution(self.of_prior(found))
        return Entered(own, features, prior, positionwise(self.residual, found))

    def recognize(self, found: Features, entered: Entered) -> MaskedDistribution | Amortized:
        """The posterior.

        Args:
          found: features of the image at this resolution.
          entered: the block before its latent.
        """
        seen = found if self.product else jnp.concatenate([entered.features, found], axis=-1)
        seen = self.seen(seen)
        if self.posterior is not None:
            return Amortized(PositionPosterior(self.drawn_by, entered.prior.values, self.shape, 1), seen)
        units, prior = self.of_posterior(seen).arranged(self.family.arrange), Units.of(entered.prior)
        combined = prior.combined(units) if self.product else prior.changed(units, tied=self.beta is not None)
        return combined.distribution(self.family.kind)

    def leave(self, entered: Entered, latent: Masked) -> Features:
        """The features after the block."""
        units = self.family.feature_map(latent, self.shape).astype(self.dtype)
        return self.after(entered.features + entered.residual + positionwise(self.merged, units))


def again(module: type[M], rematerialize: bool) -> type[M]:
    """The module, or one that keeps its input alone and computes all else a second time for the gradient."""
    return nn.remat(module) if rematerialize else module
