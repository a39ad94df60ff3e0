"""What a network is to be a model: latents in their generative order. Tests: tests/models/test_chain.py."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float, Integer, Key
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution
from ctc_jax.models.factor_posterior import FactorPosterior
from ctc_jax.models.position_posterior import PositionPosterior
from ctc_jax.posteriors import AbstractPosterior, PathPosterior

Features = Any
Hidden = Any
Images = Integer[Array, "batch height width channels"]


@dataclass(frozen=True)
class Amortized:
    """The posterior of a latent that a recognition family draws.

    Attributes:
      family: with its parameters.
      hidden: what it sees, `[batch, features]`, or of each position of a feature map.
    """

    family: AbstractPosterior | PositionPosterior | FactorPosterior
    hidden: Float[Array, "batch *positions features"]


class Observed(NamedTuple):
    """A latent that is given with the image, and drawn evenly where it is not: nothing is paid for it.

    Attributes:
      value: `[batch]`, or None where there is no image.
      count: of the batch.
      categories: its values are 0 to categories - 1.
    """

    value: Integer[Array, " batch"] | None
    count: int  # type: ignore[assignment]
    categories: int

    def draw(self, key: Key[Array, ""] | None) -> Masked:
        """The value given, or one drawn evenly."""
        if self.value is not None:
            return Masked(self.value)
        return Masked(jax.random.randint(key, (self.count,), 0, self.categories))


@runtime_checkable
class Chain(Protocol):
    """A network with its parameters, as latents in their generative order.

    Attributes:
      image_shape: height, width, channels.
      latents: their names, in generative order; several at one resolution agree up to a dot (`8x8.1`, `8x8.2`).
      mask_sites: those of them that have masks, in the order in which a config names their estimators.
    """

    image_shape: tuple[int, int, int]
    latents: tuple[str, ...]
    mask_sites: tuple[MaskSite, ...]

    def inputs(self, images: Images) -> Float[Array, "batch ..."]:
        """What a recognition model sees of images, float32."""

    def encode(self, batch: Batch) -> Features:
        """What posteriors need of a batch."""

    def begin(self, count: int) -> Hidden:
        """What the first prior depends on."""

    def prior_of(self, name: str, hidden: Hidden) -> MaskedDistribution | Observed:
        """p of a latent given those before it."""

    def posterior_of(
        self, name: str, features: Features, hidden: Hidden, prior: MaskedDistribution | None, step: Array | None
    ) -> MaskedDistribution | Amortized | Observed:
        """q of a latent given the image and those before it; at a training step, or None for the end of schedules."""

    def advance(self, name: str, hidden: Hidden, latent: Masked) -> Hidden:
        """What the next prior depends on once a latent is drawn; differentiable in its value and mask."""

    def pixels(self, hidden: Hidden) -> Distribution:
        """p(x | all latents)."""


@runtime_checkable
class LinearChain(Chain, Protocol):
    """A chain in which a linear layer is all that comes next of a latent whose site says `linear`."""

    def weights(self, name: str) -> Float[Array, "entries hidden"]:
        """Weights of that layer, a row for each number of the latent."""

    def enter(self, name: str, hidden: Hidden, projected: Float[Array, "batch hidden"]) -> Hidden:
        """As `advance`, of the product m * s times `weights`."""


@runtime_checkable
class BottomUpChain(Chain, Protocol):
    """A chain whose posteriors can also go up through the latents drawn; there `hidden` and `prior` are None."""

    def ascend(self, name: str, features: Features, latent: Masked) -> Features:
        """What the posterior of the latent above sees."""


@runtime_checkable
class GroupedChain(Chain, Protocol):
    """A chain of which a loop of the compiled program may draw latents that are alike.

    Attributes:
      groups: the latents in generative order, together those that differ in their parameters at most: all of a group
        may be taken for its first.
      rolled: whether a loop draws those of a group, so that the program is as large as one of them.
    """

    groups: tuple[tuple[str, ...], ...]
    rolled: bool


@runtime_checkable
class BlockChain(GroupedChain, Protocol):
    """A chain whose latents are in blocks with parameters of their own."""

    def reach(self, name: str, hidden: Hidden) -> Hidden:
        """From the group before to that of a latent; all but the first of a group are there."""

    def own(self, names: tuple[str, ...]) -> Any:
        """Parameters of the blocks of neighbors in a group: a leaf of all has one more axis, in front."""

    def arrive(self, name: str, hidden: Hidden, own: Any) -> Hidden:
        """Into the block of a latent, of these parameters, where p and q of it are asked for."""


@runtime_checkable
class CanvasChain(Chain, Protocol):
    """A chain whose latents add to a canvas, which can be looked at before it is finished."""

    def unfinished(self, hidden: Hidden) -> Distribution:
        """p(x | the latents so far), as if no more came."""


@runtime_checkable
class RecurrentChain(Chain, Protocol):
    """A chain whose recognition model looks at the image before each latent anew, and remembers what it saw."""

    def look(self, features: Features, hidden: Hidden) -> Features:
        """What the posterior of the next latent sees, of what was seen before and of the latents drawn."""


@runtime_checkable
class PathChain(Chain, Protocol):
    """A chain whose latents, all without masks, may be moved together once they are drawn.

    Attributes:
      trajectory: what moves them; None where nothing does.
    """

    trajectory: PathPosterior | None

    def trajectory_features(self, features: Features) -> Float[Array, "batch features"]:
        """What the trajectory sees of what `encode` found."""
