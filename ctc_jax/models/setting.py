"""What every model is built from. Tests: tests/models/test_registry.py."""

import abc
import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
from jax.typing import DTypeLike

from ctc_jax.layers import activation
from ctc_jax.layers.activation import LeakyReLU
from ctc_jax.models.chain_model import ChainModel
from ctc_jax.options import OptionError, Options, option
from ctc_jax.posteriors import Family


class ImageSpace(NamedTuple):
    """What a model must know of its data.

    Attributes:
      shape: height, width, channels.
      bits: levels are 0 to 2**bits - 1.
      classes: number of labels.
      mean: the mean training image, scaled to [0, 1] and flattened; empty where nothing asked for it.
    """

    shape: tuple[int, int, int]
    bits: int
    classes: int
    mean: tuple[float, ...] = ()


class Setting(NamedTuple):
    """Where a model is put.

    Attributes:
      likelihood: features -> distribution on pixels.
      posterior: the family that draws Gaussian latents.
      space: shape, bits and classes of the data.
      dtype: compute type of the network; parameters and log-probabilities are float32.
      convolution_dtype: that of its convolutions; None is the same.
    """

    likelihood: nn.Module
    posterior: Family
    space: ImageSpace
    dtype: DTypeLike
    convolution_dtype: DTypeLike | None = None


@dataclass(frozen=True)
class SharedOptions(Options):
    """What all networks have."""

    latents: int = option(128, "size of the code above all; number of masks where it is made of them", at_least=1)
    width: int = option(128, "channels of a convolution, or units of a hidden layer", at_least=1)
    blocks: int = option(2, "residual blocks at each resolution; hidden layers of dense networks", at_least=0)
    decoder_blocks: int = option(
        -1, "as blocks, of the decoder alone, which at 0 is linear in its latents; -1 is as many as blocks", at_least=-1
    )
    features: int = option(32, "features per pixel, which the likelihood's output layer reads", at_least=1)
    activation: str = option("silu", "the nonlinearity", choices=tuple(activation.REGISTRY))
    negative_slope: float = option(0.01, "of leaky_relu")

    def check(self) -> None:
        """Refuses a slope that no nonlinearity has."""
        default = SharedOptions.negative_slope
        if self.negative_slope != default and self.activation != "leaky_relu":
            raise OptionError(
                "negative_slope", self.negative_slope, f"{default}, unless model.activation is leaky_relu"
            )

    @property
    def decoder(self) -> int | None:
        """Blocks of the decoder; None where nothing tells them apart from the encoder's."""
        return None if self.decoder_blocks == -1 else self.decoder_blocks

    def network(self, setting: Setting) -> dict[str, Any]:
        """The arguments that all networks take."""
        leaky = self.activation == "leaky_relu"
        return {
            "likelihood": setting.likelihood,
            "image_shape": setting.space.shape,
            "maximum": 2**setting.space.bits - 1,
            "features": self.features,
            "activation": LeakyReLU(self.negative_slope) if leaky else activation.REGISTRY[self.activation],
            "dtype": setting.dtype,
        }

    def convolutional(self, setting: Setting) -> dict[str, Any]:
        """The arguments that all networks with convolutions take."""
        return {**self.network(setting), "convolution_dtype": setting.convolution_dtype or setting.dtype}


@dataclass(frozen=True)
class ModelOptions(Options, abc.ABC):
    """A model's own options; only siblings of an encoder have use for a depth of the decoder's own."""

    unused: ClassVar[tuple[str, ...]] = ("decoder_blocks",)

    @property
    def needs_mean(self) -> bool:
        """Whether the model asks for the mean image of its data."""
        return False

    @abc.abstractmethod
    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model, with no gradient through masks yet.

        Raises:
          OptionError: an option that does not fit the data or another one.
        """


def check_halving(image_shape: tuple[int, int, int], levels: int) -> None:
    """Refuses an image that `levels` halvings do not divide.

    Raises:
      OptionError: 2**levels does not divide the height and the width.
    """
    height, width, _ = image_shape
    most = min((height & -height).bit_length(), (width & -width).bit_length()) - 1
    if levels > most:
        allowed = (
            f"1 to {most}, the times a {height}x{width} image can be halved"
            if most
            else f"no value: a {height}x{width} image cannot be halved; use model.name=mlp_vae or resize the images"
        )
        raise OptionError("levels", levels, allowed)


def mean_image(space: ImageSpace) -> tuple[float, ...]:
    """The mean training image, or half of the highest level where it is not known."""
    return space.mean or (0.5,) * math.prod(space.shape)
