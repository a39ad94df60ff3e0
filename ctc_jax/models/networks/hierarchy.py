"""A hierarchy of masked latents on feature maps. Tests: tests/models/test_ctc_hierarchy.py."""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Integer
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution, standard
from ctc_jax.layers import ResidualBlock, depth_to_space, positionwise, space_to_depth
from ctc_jax.layers.dense_ctc import DenseCTC
from ctc_jax.layers.masked_layer import MaskedLayer
from ctc_jax.layers.som_pooling import SOMPooling
from ctc_jax.layers.unit_head import UnitHead
from ctc_jax.layers.units import Units
from ctc_jax.models.chain import Amortized, Observed
from ctc_jax.models.networks.class_conditional import LABEL
from ctc_jax.models.position_posterior import PositionPosterior
from ctc_jax.posteriors import AbstractPosterior, PathPosterior

TOP = "top"

# Height, width, channels.
Features = Float[Array, "batch _ _ _"]


class HierarchyNetwork(nn.Module):
    """p(x | z_1, ..., z_top) p(z_1 | z_2, ...) ... p(z_top), where a level's z is masks times Gaussian values.

    A mask over a pooling window, a block or a gate at a unit is a latent with a prior from the levels above, and its KL
    is in the bound: nothing of where a value was reaches the decoder for free. Residual blocks at each resolution on
    both sides; every level's latent lies at the resolution above its halving: the units of level 1 are at the
    resolution of the image, those of level l at 2^(l - 1) times less, the top code at 2^L times less. The features they
    are computed from and go back to are at the same resolution, or where the image enters in patches, at `patch` times
    less, though never below that of the top.

    Inference top-down shares the generative path: q of a level is a change of its prior, all KLs are analytic.
    Inference bottom-up passes on what it draws, as stochastic pooling does: z_1, then z_2 from z_1, and so on; where q
    sees the image as well, also the features that a draw was made of.

    Attributes:
      likelihood: features -> distribution on pixels.
      top: of the top code, its posterior where it is Gaussian, or its masks; where the code is the label, given and not
        paid for, how many classes there are.
      families: what masks each level, from the image upwards; None is a level without a latent.
      drawn_by: of each level the recognition family of the units at one position of its features, where there are no
        masks; None is a change of the prior, a diagonal Gaussian.
      trajectory: what moves all latents together, where none has masks and inference is top-down; or None.
      image_shape: height, width, channels.
      maximum: the highest pixel level, 2**bits - 1.
      width: channels of a convolution.
      channels: units of a level at each position.
      blocks: residual blocks at each resolution on the way up.
      decoder_blocks: on the way down, which is linear in the latents where it is 0, save in what priors see; None is as
        many as on the way up, and one nonlinearity before the likelihood.
      features: features per pixel handed to the likelihood.
      value_loc: of the levels' values in the prior at the start: where it is 0, a value says nothing of its place.
      value_scale: their standard deviation there.
      patch: side of the patches in which the image enters, a power of 2 up to 2^L.
      activation: the nonlinearity.
      beta: of mask logits tied to the values' locations; None for free logits.
      top_down: whether q of a level is a change of its prior; else it sees the draw of the level below.
      sees_image: whether the image's features go up beside the draws; always so in top-down inference.
      pooling: of a top code's alternatives with their neighbors, in q; or None.
      dtype: compute type.
      convolution_dtype: that of convolutions.
    """

    likelihood: nn.Module
    top: AbstractPosterior | DenseCTC | int
    families: tuple[MaskedLayer | None, ...]
    drawn_by: tuple[AbstractPosterior | None, ...]
    trajectory: PathPosterior | None
    image_shape: tuple[int, int, int]
    maximum: int
    width: int
    channels: int
    blocks: int
    decoder_blocks: int | None
    features: int
    value_loc: float
    value_scale: float
    patch: int
    activation: Callable
    beta: float | None
    top_down: bool
    sees_image: bool
    pooling: SOMPooling | None
    dtype: DTypeLike
    convolution_dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers; index 0 is level 1."""
        levels = len(self.families)

        def stack(blocks: int) -> list[ResidualBlock]:
            scale = max(1, (levels + 1) * blocks) ** -0.5
            return [ResidualBlock(self.activation, scale, self.convolution_dtype) for _ in range(blocks)]

        def dense(features: int) -> nn.Dense:
            return nn.Dense(features, dtype=self.dtype)

        def heads(loc: float, scale: float, gain: float) -> list[UnitHead | None]:
            return [
                family
                and UnitHead(
                    self.channels, family.kind is not None, self.beta, self.unit_patch(level), loc, scale, gain
                )
                for level, family in enumerate(self.families)
            ]

        self.up = [dense(self.width) for _ in range(levels + 1)]
        self.up_blocks = [stack(self.blocks) for _ in range(levels + 1)]
        if isinstance(self.top, DenseCTC):
            self.top_parameters = nn.Dense(self.top.parameters)
        bottom = self.map_shape(levels)
        self.start_top = dense(bottom[0] * bottom[1] * self.width)
        self.down = [dense(self.width * self.widening(level) ** 2) for level in range(levels)]
        down = self.blocks if self.decoder_blocks is None else self.decoder_blocks
        self.down_blocks = [stack(down) for _ in range(levels + 1)]
        self.joined = [family and dense(self.width) for family in self.families]
        values = (self.value_loc, self.value_scale)
        self.priors = heads(*values, 0.1)
        self.posteriors = heads(*((0.0, 1.0) if self.top_down else values), self.gain)
        self.merged = [family and dense(self.width) for family in self.families]
        self.out = dense(self.features * self.patch**2)

    @property
    def gain(self) -> float:
        """Of the start of a level's posterior: small where it is a change of the prior."""
        # In bottom-up inference q starts from nothing, and at a small gain would say nothing of the image.
        return 0.1 if self.top_down else 1.0

    @property
    def levels(self) -> dict[str, int]:
        """The latents below the top from above, and the place of each, 0 next to the image."""
        return {f"level_{level + 1}": level for level in reversed(range(len(self.families))) if self.families[level]}

    @property
    def latents(self) -> tuple[str, ...]:
        """From the top downwards."""
        return (LABEL if isinstance(self.top, int) else TOP, *self.levels)

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """From the image upwards, the top last."""
        sites = []
        for name, level in reversed(self.levels.items()):
            family, shape = self.families[level], self.unit_shape(level)
            if family.kind is not None:
                mask_shape, grid = family.mask_shape(shape), family.grid(shape)
                sites.append(MaskSite(name, family.kind, mask_shape, valued=True, coupled=True, grid=grid))
        if isinstance(self.top, DenseCTC):
            sites.append(MaskSite(TOP, self.top.kind, self.top.shape, self.top.valued, coupled=True))
        return tuple(sites)

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
        """Height, width and channels of the units of a level, from 0."""
        return *self.map_shape(level), self.channels

    def inputs(self, images: Integer[Array, "batch height width channels"]) -> Features:
        """Pixels in [-1, 1]."""
        return images.astype(self.dtype) * (2.0 / self.maximum) - 1.0

    def encode(self, batch: Batch) -> dict[str, Features | Int[Array, " batch"]] | Features:
        """Features of every latent, or where inference is bottom-up those of the lowest."""
        hidden = self.inputs(batch.image)
        if not self.top_down:
            return self._up(0, hidden)
        found, labeled = [], isinstance(self.top, int)
        for level in range(len(self.families) + (not labeled)):
            hidden = self._recognized(level, hidden)
            found.append(hidden)
        above = {LABEL: batch.label} if labeled else {TOP: hidden}
        return {**above, **{name: found[level] for name, level in self.levels.items()}}

    def ascend(self, name: str, features: Features, latent: Masked) -> Features:
        """What a level's draw passes on, as features of the next latent above."""
        level = self.levels[name]
        passed = self.families[level].passed_on(latent, self.unit_shape(level))
        if self.sees_image:
            rows = self.feature_shape(level + 1)[0]
            parts = [space_to_depth(of, of.shape[1] // rows) for of in (features, passed.astype(self.dtype))]
            passed = jnp.concatenate(parts, axis=-1)
        return self._up(level + 1, passed)

    def begin(self, count: int) -> int:
        """The size of the batch."""
        return count

    def prior_of(self, name: str, hidden: int | Features) -> MaskedDistribution | Observed:
        """N(0, I) or uniform masks times such values at the top; else from the features on the way down."""
        if name in self.levels:
            level = self.levels[name]
            return self.families[level].distribution(self.priors[level](self.activation(hidden)))
        if isinstance(self.top, int):
            return Observed(None, hidden, self.top)
        if isinstance(self.top, DenseCTC):
            return self.top.distribution(jnp.zeros((hidden, self.top.parameters)))
        return standard((hidden, self.top.latents))

    def posterior_of(
        self, name: str, features: Any, hidden: Any, prior: MaskedDistribution | Observed | None, step: Any
    ) -> MaskedDistribution | Amortized | Observed:
        """q of a latent, of features alone, or where inference is top-down of both, as a change of the prior."""
        if self.top_down:
            features = features[name]
        if name == LABEL:
            return Observed(features, hidden, self.top)
        if name == TOP:
            return self._top_posterior(features, prior, step)
        level = self.levels[name]
        family = self.families[level]
        if self.top_down:
            features = positionwise(self.joined[level], jnp.concatenate([features, hidden], axis=-1))
        seen = self.activation(features)
        if self.drawn_by[level] is not None:
            return self._drawn(level, seen, prior)
        if not self.top_down:
            return family.distribution(self.posteriors[level](seen))
        change = self.posteriors[level](seen).arranged(family.arrange)
        return Units.of(prior).changed(change, tied=self.beta is not None).distribution(family.kind)

    def advance(self, name: str, hidden: int | Features, latent: Masked) -> Features:
        """Merges a latent, and goes on down to the next level that has one, or to the pixels."""
        if name not in self.levels:
            level = len(self.families)
            code = jax.nn.one_hot(latent.value, self.top) if isinstance(self.top, int) else latent.product
            hidden = self.start_top(code.reshape(len(code), -1).astype(self.dtype))
            hidden = self._blocks_after(level, hidden.reshape(-1, *self.map_shape(level), self.width))
        else:
            level = self.levels[name]
            units = self.families[level].feature_map(latent, self.unit_shape(level))
            units = space_to_depth(units, self.unit_patch(level)).astype(self.dtype)
            hidden = self._blocks_after(level, hidden + positionwise(self.merged[level], units))
        for below in reversed(range(level)):
            hidden = depth_to_space(positionwise(self.down[below], hidden), self.widening(below))
            if self.families[below]:
                break
            hidden = self._blocks_after(below, hidden)
        return hidden  # type: ignore[return-value]

    def pixels(self, hidden: Features) -> Distribution:
        """p(x | everything)."""
        seen = hidden if self.decoder_blocks == 0 else self.activation(hidden)
        return self.likelihood(depth_to_space(positionwise(self.out, seen), self.patch))

    def trajectory_features(self, features: dict[str, Features]) -> Float[Array, "batch features"]:
        """Those of the top code, which come of all."""
        return self.activation(features[TOP]).reshape(len(features[TOP]), -1)

    def _top_posterior(self, features, prior, step):
        hidden = self.activation(features).reshape(len(features), -1)
        if not isinstance(self.top, DenseCTC):
            return Amortized(self.top, hidden)
        posterior = self.top.distribution(self.top_parameters(hidden.astype(jnp.float32)))
        return posterior if self.pooling is None else self.pooling.distribution(posterior, step)

    def _drawn(self, level, seen, prior):
        """A level whose units at each position a recognition family draws, around the prior or where it starts."""
        shape = self.unit_shape(level)
        if prior is None:
            units = jnp.zeros((len(seen), math.prod(shape)))
            around = dist.Normal(units + self.value_loc, jnp.full_like(units, self.value_scale))
        else:
            around = prior.values
        return Amortized(PositionPosterior(self.drawn_by[level], around, shape, self.unit_patch(level)), seen)

    def _recognized(self, level, hidden):
        """Features of a level on the way up, from the image or what came of the level below, at whatever resolution."""
        hidden = space_to_depth(hidden, hidden.shape[1] // self.feature_shape(level)[0])
        hidden = positionwise(self.up[level], hidden.astype(self.dtype))
        for block in self.up_blocks[level]:
            hidden = block(hidden)
        return hidden

    def _up(self, level, hidden):
        """Features of the next level that has a latent, or of the top."""
        hidden = self._recognized(level, hidden)
        while level < len(self.families) and not self.families[level]:
            level += 1
            hidden = self._recognized(level, hidden)
        return hidden

    def _blocks_after(self, level, hidden):
        for block in self.down_blocks[level]:
            hidden = block(hidden)
        return hidden
