"""The networks of a hierarchy of latents on feature maps. Tests: tests/models/test_ctc_hierarchy.py."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.layers import ResidualBlock, depth_to_space, positionwise, space_to_depth
from ctc_jax.layers.mask_parameters import MaskParameters, UnitParameters
from ctc_jax.models import gaussian_law
from ctc_jax.models.gaussian_law import GaussianLaw
from ctc_jax.models.level_family import LevelFamily
from ctc_jax.models.mask_law import MaskLaw, MaskShape

# Height, width, channels.
Features = Float[Array, "batch _ _ _"]


class UnitHead(nn.Module):
    """Mask logits, locations and scales of a level's units from features.

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
    def __call__(self, features: Features) -> UnitParameters:
        """Units `[batch, height, width, channels]`, float32."""
        features = features.astype(jnp.float32)
        start = nn.initializers.variance_scaling(self.gain**2, "fan_in", "truncated_normal")
        dense = nn.Dense(
            self.channels * self.patch**2,
            kernel_init=start,
            bias_init=nn.initializers.constant(self.loc),
            name="loc",
        )
        loc = positionwise(dense, features)
        # Without masks there are no logits to learn: tied ones have no parameters.
        beta = self.beta if self.masked else 1.0
        parameters = MaskParameters(beta, True, logits_start=start, scale=self.scale, name="parameters")
        units = parameters(features, loc)
        return units.arranged(lambda of: depth_to_space(of, self.patch))


class HierarchyNetwork(nn.Module):
    """Residual blocks at each resolution on both sides; every level's latent lies at the resolution above its pooling.

    The units of level 1 are at the resolution of the image, those of level l at 2^(l - 1) times less, the top code at
    2^L times less. The features they are computed from and go back to are at the same resolution, or where the image
    enters in patches, at `patch` times less, though never below that of the top.

    Attributes:
      likelihood: features -> distribution on pixels.
      top: hidden features -> q of the top code where it is Gaussian; None where `top_masks` says what it is.
      top_masks: places and alternatives of a top code of masks times values, or None.
      latents: numbers in the top code.
      families: of the levels, from the image upwards; None is a level without a latent.
      image_shape: height, width, channels.
      maximum: the highest pixel level, 2**bits - 1.
      width: channels of a convolution.
      channels: units of a level at each position.
      blocks: residual blocks at each resolution, on each side.
      features: features a pixel handed to the likelihood.
      value_loc: of the levels' values in the prior at the start: where it is 0, a value says nothing of its place.
      value_scale: their standard deviation there.
      patch: side of the patches in which the image enters, a power of 2 up to 2^L.
      activation: the nonlinearity.
      beta: of mask logits tied to the values' locations; None for free logits.
      top_down: q of a level sees the levels above it, and is a change of their prior; else the draw of the level below.
      dtype: compute type.
    """

    likelihood: nn.Module
    top: nn.Module | None
    top_masks: MaskShape | None
    latents: int
    families: tuple[LevelFamily | None, ...]
    image_shape: tuple[int, int, int]
    maximum: int
    width: int
    channels: int
    blocks: int
    features: int
    value_loc: float
    value_scale: float
    patch: int
    activation: Callable
    beta: float | None
    top_down: bool
    dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers; index 0 is level 1."""
        levels = len(self.families)

        def stack() -> list[ResidualBlock]:
            scale = max(1, (levels + 1) * self.blocks) ** -0.5
            return [ResidualBlock(self.activation, scale, self.dtype) for _ in range(self.blocks)]

        def dense(features: int) -> nn.Dense:
            return nn.Dense(features, dtype=self.dtype)

        def heads(loc: float, scale: float, gain: float) -> list[UnitHead | None]:
            return [
                None
                if family is None
                else UnitHead(
                    self.channels, family.kind is not None, self.beta, self.unit_patch(level), loc, scale, gain
                )
                for level, family in enumerate(self.families)
            ]

        self.up = [dense(self.width) for _ in range(levels + 1)]
        self.up_blocks = [stack() for _ in range(levels + 1)]
        if self.top_masks is not None:
            self.top_parameters = nn.Dense(self.top_masks.parameters)
        bottom = self.map_shape(levels)
        self.start_top = dense(bottom[0] * bottom[1] * self.width)
        self.down = [dense(self.width * self.widening(level) ** 2) for level in range(levels)]
        self.down_blocks = [stack() for _ in range(levels + 1)]
        self.joined = [None if family is None else dense(self.width) for family in self.families]
        self.priors = heads(self.value_loc, self.value_scale, 0.1)
        # In bottom-up inference q starts from nothing, and at a small gain would say nothing of the image.
        self.posteriors = heads(0.0, 1.0, 0.1) if self.top_down else heads(self.value_loc, self.value_scale, 1.0)
        self.merged = [None if family is None else dense(self.width) for family in self.families]
        self.out = dense(self.features * self.patch**2)

    def map_shape(self, halvings: int) -> tuple[int, int]:
        """Height and width after so many halvings."""
        return self.image_shape[0] >> halvings, self.image_shape[1] >> halvings

    def feature_shape(self, level: int) -> tuple[int, int]:
        """Height and width of the features of a level, from 0; of the top at the number of levels."""
        return self.map_shape(min(level + self.patch.bit_length() - 1, len(self.families)))

    def unit_patch(self, level: int) -> int:
        """Units of each channel on a side of one position of a level's features."""
        return self.map_shape(level)[0] // self.feature_shape(level)[0]

    def widening(self, level: int) -> int:
        """How many times the features of a level are as wide as those above it."""
        return self.feature_shape(level)[0] // self.feature_shape(level + 1)[0]

    def unit_shape(self, level: int) -> tuple[int, int, int]:
        """Of the units of a level, from 0."""
        return *self.map_shape(level), self.channels

    def __call__(self, images: Integer[Array, "batch height width channels"]) -> Distribution:
        """Every layer once: initialization only."""
        hidden = self.scaled(images)
        bottom_up = []
        for level, family in enumerate(self.families):
            features = self.recognized(level, hidden)
            bottom_up.append(features)
            hidden = features
            if not self.top_down and family is not None:
                mean = family.law(self.posterior(level, features, features)).mean
                hidden = family.going_up(mean, self.unit_shape(level))
        code = self.top_law(self.recognized(len(self.families), hidden)).mean
        hidden = self.start(code.reshape(len(images), -1))
        for level in reversed(range(len(self.families))):
            hidden = self.expand(level, hidden)
            family = self.families[level]
            if family is None:
                hidden = self.blocks_after(level, hidden)
                continue
            prior = self.prior(level, hidden)
            if self.top_down:
                self.posterior(level, bottom_up[level], hidden)
            hidden = self.merge(level, hidden, family.feature_map(family.law(prior).mean, self.unit_shape(level)))
        return self.pixels(hidden)

    def scaled(self, images: Integer[Array, "batch height width channels"]) -> Features:
        """Pixels in [-1, 1]."""
        return images.astype(self.dtype) * (2.0 / self.maximum) - 1.0

    def recognized(self, level: int, hidden: Features) -> Features:
        """Features of a level on the way up, from the image or what came of the level below, at whatever resolution."""
        hidden = space_to_depth(hidden, hidden.shape[1] // self.feature_shape(level)[0])
        hidden = positionwise(self.up[level], hidden.astype(self.dtype))
        for block in self.up_blocks[level]:
            hidden = block(hidden)
        return hidden

    def top_law(self, features: Features) -> GaussianLaw | MaskLaw:
        """q of the top code."""
        hidden = self.activation(features).reshape(len(features), -1)
        if self.top_masks is not None:
            return self.top_masks.law(self.top_parameters(hidden.astype(jnp.float32)))
        return gaussian_law.of(self.top(hidden))

    def start(self, code: Float[Array, "batch latents"]) -> Features:
        """The first features on the way down."""
        levels = len(self.families)
        hidden = self.start_top(code.astype(self.dtype)).reshape(-1, *self.map_shape(levels), self.width)
        return self.blocks_after(levels, hidden)

    def blocks_after(self, level: int, hidden: Features) -> Features:
        """The residual blocks of a level on the way down."""
        for block in self.down_blocks[level]:
            hidden = block(hidden)
        return hidden

    def expand(self, level: int, hidden: Features) -> Features:
        """The features of the level above at a level's own resolution."""
        return depth_to_space(positionwise(self.down[level], hidden), self.widening(level))

    def prior(self, level: int, hidden: Features) -> UnitParameters:
        """p of a level's units given those above."""
        return self.priors[level](self.activation(hidden))

    def posterior(self, level: int, features: Features, hidden: Features) -> UnitParameters:
        """Of features alone, or where `top_down` of both, as a change of the prior."""
        if not self.top_down:
            return self.posteriors[level](self.activation(features))
        joined = positionwise(self.joined[level], jnp.concatenate([features, hidden], axis=-1))
        return self.posteriors[level](self.activation(joined))

    def merge(self, level: int, hidden: Features, latent: Features) -> Features:
        """Features with a level's latent put in."""
        latent = space_to_depth(latent, self.unit_patch(level))
        return self.blocks_after(level, hidden + positionwise(self.merged[level], latent.astype(self.dtype)))

    def pixels(self, hidden: Features) -> Distribution:
        """p(x | everything)."""
        return self.likelihood(depth_to_space(positionwise(self.out, self.activation(hidden)), self.patch))
