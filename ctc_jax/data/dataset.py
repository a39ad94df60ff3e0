"""A dataset in memory or memory-mapped: three fixed splits and what a likelihood must know. Tests: test_dataset.py."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Float64, Int, Int32, Integer, UInt8

from ctc_jax.data.binarization import binarized
from ctc_jax.data.digest import digest_of
from ctc_jax.data.variation import Variation

MEAN_SEED = 3_005


class Batch(NamedTuple):
    """Images as integer levels 0 .. 2**bits - 1, and class labels (0 where a dataset has none)."""

    image: Integer[Array | np.ndarray, "*batch height width channels"]
    label: Int32[Array | np.ndarray, "*batch"]


@dataclass(frozen=True)
class Split:
    """Images and class labels, as stored; `draw` and `BatchStream` give images as a likelihood sees them.

    Attributes:
      images: levels 0 .. 2**bits - 1, or grey levels where pixels are binarized anew each time that they are seen.
      labels: 0 where a dataset has none.
      highest_grey: 0 where images have their bits; else each pixel is 1 with probability level / this.
      variation: what else is drawn anew each time that an image is seen, before it is binarized; or None.
      corners: where that was drawn once, row and column at which the first pixel of each object lies; or None.
    """

    images: UInt8[np.ndarray, "n height width channels"]
    labels: Int32[np.ndarray, " n"]
    highest_grey: int = 0
    variation: Variation | None = None
    corners: Int[np.ndarray, "n objects 2"] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def draw(
        self, rows: Int[np.ndarray, " rows"], generator: np.random.Generator
    ) -> UInt8[np.ndarray, "rows height width channels"]:
        """The rows' images as a likelihood sees them; `generator` varies them and binarizes grey ones."""
        images = self.varied(rows, generator)
        return binarized(images, self.highest_grey, generator) if self.highest_grey else images

    def varied(
        self, rows: Int[np.ndarray, " rows"], generator: np.random.Generator
    ) -> UInt8[np.ndarray, "rows height width channels"]:
        """The rows' images, with places and contrasts by `generator` where these are drawn; grey ones stay grey."""
        if self.variation is None:
            return np.asarray(self.images[rows])
        return self.variation.draw(self.images, rows, generator)


@dataclass(frozen=True)
class Dataset:
    """Pixels ready for training.

    Attributes:
      name: as in the config.
      bits: of a pixel that a likelihood sees; 1 when binary.
      classes: number of labels; 1 when there are none.
      binarization: "none", "threshold", "static", or "dynamic", whose training images stay grey, while validation and
        test images were drawn once.
      log_prob: the exact log-probability of images given labels, nats per image, where it is known.
      origin: where the pixels came from, in words.
      notes: what was left out or is not as it seems, a sentence each.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    bits: int
    classes: int
    binarization: str
    log_prob: Callable[..., Float[np.ndarray, " n"]] | None = None
    origin: str = ""
    notes: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.test.images.shape[1:]

    @property
    def mean_image(self) -> Float64[np.ndarray, "height width channels"]:
        """The mean of the training images as a likelihood sees them, the highest level being 1."""
        highest, train = self.train.highest_grey or 2**self.bits - 1, self.train
        images = train.images
        if train.variation is not None:  # of one draw of each, which is a mean over as many
            images = train.varied(np.arange(len(train)), np.random.default_rng(MEAN_SEED))
        return np.asarray(np.mean(images, axis=0, dtype=np.float64) / highest)

    @cached_property
    def fingerprint(self) -> str:
        """32 digits that change with an image, a label, their order, the splits, bits or binarization."""
        splits = (self.train, self.validation, self.test)
        facts = f"{self.bits} {self.classes} {self.binarization} {[split.highest_grey for split in splits]}"
        if self.train.variation is not None:
            facts += f" {self.train.variation}"
        return digest_of(facts, *(array for split in splits for array in (split.images, split.labels)))
