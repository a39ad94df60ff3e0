"""Whether samples are copies: nearer to training images than unseen ones are (Meehan et al. 2020, arXiv:2004.05675).

Tests: tests/evaluation/test_copying.py.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int, UInt8

from ctc_jax.evaluation.features import FeatureSpace
from ctc_jax.evaluation.neighbors import squared_distances
from ctc_jax.reporting.pictures import Picture, pair_grid

# Of the training images at most so many may be copied; so many are looked at in one go.
CORPUS, BLOCK = 50_000, 2_000
PAIRS = 16  # in the picture

Images = UInt8[np.ndarray, "_ height width channels"]


class Nearest(NamedTuple):
    """Of each image its nearest training image.

    Attributes:
      distance: between their features.
      row: of the training image.
    """

    distance: Float64[np.ndarray, " images"]
    row: Int[np.ndarray, " images"]


def nearest_training(images: Images, corpus: Images, space: FeatureSpace, levels: int) -> Nearest:
    """Of each image the nearest of the training images.

    Args:
      images: levels.
      corpus: the training images.
      space: whose distance counts.
      levels: the highest level.
    """
    features = space(images, levels)
    best, row = np.full(len(images), np.inf), np.zeros(len(images), np.int64)
    for first in range(0, len(corpus), BLOCK):
        squared = squared_distances(features, space(corpus[first : first + BLOCK], levels))
        found = squared.argmin(axis=1)
        least = squared[np.arange(len(squared)), found]
        row = np.where(least < best, first + found, row)
        best = np.minimum(least, best)
    return Nearest(np.sqrt(np.maximum(best, 0.0)), row)


def compare_copies(samples: Nearest, unseen: Nearest) -> dict[str, float]:
    """How near samples are to training images beside unseen images.

    Returns:
      `copying_distance_ratio`: median distance of samples over that of unseen images; `copying_nearer_share`: how often
      a sample is nearer than an unseen image, ties counting half (Mann and Whitney): 0.5 for a model of the data's own
      law, towards 1 for copies. Blurred images are near to all: they raise the share too.
    """
    from scipy import stats  # late, as in rank_histograms.py

    farther = stats.mannwhitneyu(samples.distance, unseen.distance).statistic / samples.distance.size
    median = max(float(np.median(unseen.distance)), np.finfo(np.float64).tiny)
    return {
        "copying_distance_ratio": float(np.median(samples.distance)) / median,
        "copying_nearer_share": float(1.0 - farther / unseen.distance.size),
    }


def copying_picture(samples: Images, found: Nearest, corpus: Images, levels: int) -> Picture:
    """The samples that are nearest to a training image, each beside it."""
    rows = np.argsort(found.distance, kind="stable")[:PAIRS]
    return pair_grid(samples[rows], corpus[found.row[rows]], levels=levels, labels=("sample", "nearest"))
