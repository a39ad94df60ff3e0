"""A dataset in memory or memory-mapped: three fixed splits and what a likelihood must know. Tests: test_build.py."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int32, UInt8

from ctc_jax.data.binarized import binarized


@dataclass(frozen=True)
class Split:
    """Images as levels 0 .. 2**bits - 1 (grey levels 0 .. 255 where a batch is binarized anew), and class labels."""

    images: UInt8[np.ndarray, "n height width channels"]
    labels: Int32[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Dataset:
    """Pixels ready for training.

    Attributes:
      name: as in the config.
      bits: of a pixel a likelihood sees; 1 when binary.
      classes: number of labels; 1 when there are none.
      binarization: "none", "threshold", "static", or "dynamic", whose training images stay grey: each batch draws
        its own pixels (`BatchStream(dynamic=True)`), while validation and test were drawn once.
      log_prob: the exact log-probability of images given labels, nats per image, where it is known.
      origin: where the pixels came from, in words.
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

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.train.images.shape[1:]

    def seen(
        self, rows: Int[np.ndarray, " rows"], generator: np.random.Generator
    ) -> UInt8[np.ndarray, "rows height width channels"]:
        """Training images as a likelihood sees them; where batches are binarized anew, `generator` draws them."""
        images = np.asarray(self.train.images[rows])
        return binarized(images, generator) if self.binarization == "dynamic" else images
