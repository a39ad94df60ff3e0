"""Residual blocks with a latent each, from the lowest resolution to the image. Tests: tests/models/test_top_down.py."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.layers import (
    BottleneckBlock,
    MaskedLayer,
    depth_to_space,
    mean_pool,
    positionwise,
    repeat,
    space_to_depth,
)
from ctc_jax.layers.equal_blocks import EqualBlocks, stacked
from ctc_jax.models.chain import Amortized
from ctc_jax.models.networks.latent_block import Entered, Features, LatentBlock, again
from ctc_jax.posteriors import Family, PathPosterior


class Resolution(NamedTuple):
    """The blocks at one resolution.

    Attributes:
      height: of the feature maps.
      width: of the feature maps.
      channels: of the features.
      up: residual blocks of the recognition model.
      down: blocks of the generative model.
      family: what masks the latents of these; None where they have none.
    """

    height: int
    width: int
    channels: int
    up: int
    down: int
    family: MaskedLayer | None


class TopDownNetwork(nn.Module):
    """p(x | z_1, ..., z_n) p(z_1) p(z_2 | z_1) ... p(z_n | z_1, ..., z_(n-1)), dozens of them (Child 2021).

    The generative model starts from a learned map at the lowest resolution and goes through residual blocks to the
    highest, in each of which a latent on the feature map is drawn. Its prior sees the features of the way down, its
    posterior these and what residual blocks found in the image at that resolution on the way up. Beside its latent,
    the prior's branch adds something to the features that is not drawn.

    Where the highest resolution is below the image's, the image enters and leaves in patches.

    Attributes:
      likelihood: features -> distribution on pixels.
      posterior: of Gaussian latents at one position; None for a change of the prior, or a product with it.
      trajectory: what moves all latents together, where none has masks; or None.
      resolutions: from the lowest to the highest.
      image_shape: height, width, channels.
      maximum: the highest pixel level, 2**bits - 1.
      features: features per pixel handed to the likelihood.
      units: channels of a latent at each position.
      bottleneck: channels of a convolution relative to those of the features around it.
      resampling: "learned" exchanges resolution for channels in dense layers; "mean" takes means of patches on the way
        up and repeats positions on the way down.
      activation: the nonlinearity.
      value_loc: of the values in the priors at the start.
      value_scale: their standard deviation there.
      beta: of mask logits tied to the values' locations; None for free logits.
      product: whether q is the product of the prior with a distribution that sees the image alone.
      rematerialize: whether what convolutions find is computed again for their gradient, and not kept.
      rolled: whether loops take the blocks of a resolution, which XLA's CPU backend is slow at.
      dtype: compute type.
      convolution_dtype: that of convolutions.
    """

    likelihood: nn.Module
    posterior: Family | None
    trajectory: PathPosterior | None
    resolutions: tuple[Resolution, ...]
    image_shape: tuple[int, int, int]
    maximum: int
    features: int
    units: int
    bottleneck: float
    resampling: str
    activation: Callable
    value_loc: float
    value_scale: float
    beta: float | None
    product: bool
    rematerialize: bool
    rolled: bool
    dtype: DTypeLike
    convolution_dtype: DTypeLike

    def setup(self) -> None:
        """Names the layers; index 0 is the lowest resolution."""
        ups, downs = (sum(getattr(of, way) for of in self.resolutions) for way in ("up", "down"))

        def middle(of: Resolution) -> int:
            return max(1, round(of.channels * self.bottleneck))

        def residual(of: Resolution, depth: int, name: str) -> BottleneckBlock:
            block = again(BottleneckBlock, self.rematerialize)
            types = self.dtype, self.convolution_dtype
            return block(middle(of), self.activation, depth**-0.5, *types, parent=None, name=name)

        def with_latent(of: Resolution, name: str) -> LatentBlock:
            return LatentBlock(
                family=of.family,
                posterior=self.posterior if of.family.kind is None else None,
                shape=(of.height, of.width, self.units),
                width=of.channels,
                middle=middle(of),
                residual_scale=downs**-0.5,
                activation=self.activation,
                value_loc=self.value_loc,
                value_scale=self.value_scale,
                beta=self.beta,
                product=self.product,
                rematerialize=self.rematerialize,
                dtype=self.dtype,
                convolution_dtype=self.convolution_dtype,
                parent=None,
                name=name,
            )

        def equal(of: Resolution, name: str, count: int, block: nn.Module) -> EqualBlocks:
            map_of = jnp.zeros((1, of.height, of.width, of.channels), self.dtype)
            inputs = (map_of, map_of) if isinstance(block, LatentBlock) else (map_of,)
            if self.is_initializing():
                return EqualBlocks(block, self.param(name, stacked(block, count, *inputs)), self.rolled)
            return EqualBlocks(block, self.get_variable("params", name), self.rolled)

        self.enter_image = nn.Dense(self.resolutions[-1].channels, dtype=self.dtype)
        up, down = [], []
        for place, of in enumerate(self.resolutions):
            names = f"up_{place}", f"down_{place}"
            up.append(equal(of, names[0], of.up, residual(of, ups, names[0])) if of.up else None)
            block = with_latent(of, names[1]) if of.family else residual(of, downs, names[1])
            down.append(equal(of, names[1], of.down, block))
        self.up, self.down = up, down
        pairs = list(zip(self.resolutions, self.resolutions[1:], strict=False))
        self.shrink = [self._resampled(above, below, 1) for below, above in pairs]
        self.grow = [self._resampled(below, above, (above.height // below.height) ** 2) for below, above in pairs]
        self.start = [
            self.param(f"start_{index}", nn.initializers.zeros, (of.height, of.width, of.channels))
            for index, of in enumerate(self.resolutions)
        ]
        self.out = nn.Dense(self.features * self.patch**2, dtype=self.dtype)

    def _resampled(self, source: Resolution, target: Resolution, positions: int) -> nn.Dense | None:
        """The dense layer between two resolutions; None where channels are kept as they are."""
        if self.resampling == "mean":
            return None if source.channels == target.channels else nn.Dense(target.channels, dtype=self.dtype)
        return nn.Dense(target.channels * positions, dtype=self.dtype)

    @property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Of each latent in generative order, the place of its resolution and its number there, from 0."""
        return {
            f"{of.height}x{of.width}.{number + 1}": (place, number)
            for place, of in enumerate(self.resolutions)
            for number in range(of.down if of.family else 0)
        }

    @property
    def latents(self) -> tuple[str, ...]:
        """From the lowest resolution upwards, named by it and by their number there."""
        return tuple(self._places)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Those of a resolution together."""
        groups = itertools.groupby(self._places, lambda name: self._places[name][0])
        return tuple(tuple(names) for _, names in groups)

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """From the image upwards: the last latent first."""
        sites = []
        for name, (place, _) in reversed(self._places.items()):
            of = self.resolutions[place]
            family, shape = of.family, (of.height, of.width, self.units)
            if family.kind is not None:
                mask_shape, grid = family.mask_shape(shape), family.grid(shape)
                sites.append(MaskSite(name, family.kind, mask_shape, valued=True, coupled=True, grid=grid))
        return tuple(sites)

    @property
    def patch(self) -> int:
        """Side of the patches in which the image enters and leaves."""
        return self.image_shape[0] // self.resolutions[-1].height

    def inputs(self, images: Integer[Array, "batch height width channels"]) -> Features:
        """Pixels in [-1, 1]."""
        return images.astype(self.dtype) * (2.0 / self.maximum) - 1.0

    def encode(self, batch: Batch) -> list[Features]:
        """Features of the image at each resolution."""
        hidden = positionwise(self.enter_image, space_to_depth(self.inputs(batch.image), self.patch))
        found = []
        for place in reversed(range(len(self.resolutions))):
            if self.up[place]:
                hidden = self.up[place](hidden)
            found.append(hidden)
            if place:
                hidden = self._shrunk(place, hidden)
        return found[::-1]

    def begin(self, count: int) -> Features:
        """A learned map."""
        of = self.resolutions[0]
        return jnp.broadcast_to(self.start[0].astype(self.dtype), (count, of.height, of.width, of.channels))

    def reach(self, name: str, hidden: Features) -> Features:
        """Through the resolutions without latents below that of a latent."""
        place, number = self._places[name]
        if number:
            return hidden
        below = [at for at, _ in self._places.values() if at < place]
        return self._climbed(hidden, below[-1] + 1 if below else 0, place)

    def own(self, names: tuple[str, ...]) -> Any:
        """Stacked parameters of blocks."""
        place, number = self._places[names[0]]
        return self.down[place].own(number, len(names))

    def arrive(self, name: str, hidden: Features, own: Any) -> Entered:
        """Into a block."""
        return self._block(name, own).enter(hidden, own)

    def prior_of(self, name: str, hidden: Entered) -> MaskedDistribution:
        """From the features on the way down."""
        return hidden.prior

    def posterior_of(
        self, name: str, features: list[Features], hidden: Entered, prior: Any, step: Any
    ) -> MaskedDistribution | Amortized:
        """From the features on the way down and those of the image."""
        return self._block(name, hidden.own).recognize(features[self._places[name][0]], hidden)

    def advance(self, name: str, hidden: Entered, latent: Masked) -> Features:
        """Out of the block."""
        return self._block(name, hidden.own).leave(hidden, latent)

    def pixels(self, hidden: Features) -> Distribution:
        """p(x | everything)."""
        last, _ = self._places[self.latents[-1]]
        hidden = self._climbed(hidden, last + 1, len(self.resolutions) - 1)
        return self.likelihood(depth_to_space(positionwise(self.out, self.activation(hidden)), self.patch))

    def trajectory_features(self, features: list[Features]) -> Float[Array, "batch features"]:
        """Those at the lowest resolution, which come of all."""
        return self.activation(features[0]).reshape(len(features[0]), -1)

    def _block(self, name: str, own: Any) -> LatentBlock:
        return self.down[self._places[name][0]].at(own)  # type: ignore[return-value]

    def _climbed(self, hidden: Features, first: int, last: int) -> Features:
        """Into each of these resolutions, and through those without latents."""
        for place in range(first, last + 1):
            if place:
                hidden = self._grown(place - 1, hidden) + self.start[place].astype(self.dtype)[None]
            if self.resolutions[place].family is None:
                hidden = self.down[place](hidden)
        return hidden

    def _shrunk(self, place: int, features: Features) -> Features:
        """To the resolution below."""
        factor = self.resolutions[place].height // self.resolutions[place - 1].height
        resample = mean_pool if self.resampling == "mean" else space_to_depth
        dense, features = self.shrink[place - 1], resample(features, factor)
        return features if dense is None else positionwise(dense, features)

    def _grown(self, place: int, features: Features) -> Features:
        """To the resolution above."""
        factor = self.resolutions[place + 1].height // self.resolutions[place].height
        dense = self.grow[place]
        features = features if dense is None else positionwise(dense, features)
        return repeat(features, factor) if self.resampling == "mean" else depth_to_space(features, factor)
