"""Published figures a download is checked against. Tests: tests/data/test_figures.py."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from ctc_jax.data.source import Arrays, Unavailable


@dataclass(frozen=True)
class Figures:
    """What is known of a dataset.

    Attributes:
      train, test: numbers of images.
      shape: height, width, channels.
      mean, std: of each channel over the training part, in units of full intensity, to 5e-7.
      first_labels: of the training part in its published order; () when a source shuffles.
    """

    train: int
    test: int
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    first_labels: tuple[int, ...] = ()

    def check(self, arrays: Arrays) -> Arrays:
        """`arrays`, unchanged.

        Raises:
          Unavailable: a figure differs; the message names it.
        """
        mean, std = channel_moments(arrays.images)
        found = {
            "number of training images": (len(arrays.images), self.train),
            "number of test images": (len(arrays.test_images), self.test),
            "number of labels": (len(arrays.labels) + len(arrays.test_labels), self.train + self.test),
            "image shape": (arrays.images.shape[1:], self.shape),
            "test image shape": (arrays.test_images.shape[1:], self.shape),
            "mean": (tuple(np.round(mean, 6).tolist()), tuple(np.round(self.mean, 6).tolist())),
            "standard deviation": (tuple(np.round(std, 6).tolist()), tuple(np.round(self.std, 6).tolist())),
            "first labels": (tuple(arrays.labels[: len(self.first_labels)].tolist()), self.first_labels),
        }
        for name, (seen, expected) in found.items():
            if seen != expected:
                raise Unavailable(f"its {name} is {seen}, not {expected}")
        return arrays


def channel_moments(
    images: UInt8[np.ndarray, "n height width channels"],
) -> tuple[Float64[np.ndarray, " channels"], Float64[np.ndarray, " channels"]]:
    """Exact mean and standard deviation of each channel in units of full intensity, from its histogram."""
    levels = np.arange(256) / 255
    histograms = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])
    weights = histograms / histograms.sum(-1, keepdims=True)
    mean = weights @ levels
    return mean, np.sqrt(weights @ levels**2 - mean**2)
