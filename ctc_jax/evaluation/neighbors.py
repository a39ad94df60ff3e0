"""Precision, recall, density and coverage of generated images by nearest neighbors among features.

Precision and recall: Kynkäänniemi et al. 2019, arXiv:1904.06991. Density and coverage: Naeem et al. 2020,
arXiv:2002.09797. Tests: tests/evaluation/test_neighbors.py.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

NEIGHBORS = 5  # k: the radius of an image is the distance of its k-th nearest neighbor
ROWS = 1000  # images of one set that meet all of the other at once
# A squared distance that is larger than a squared radius by less than this share of the radius counts as equal, else a
# tie, which integer pixels have many of, would fall by the rounding of float32 features.
TIE = 1e-5


class Manifold(NamedTuple):
    """Images, and the ball around each that reaches to its k-th nearest neighbor among them.

    Attributes:
      features: one row an image.
      squared_radii: of the balls.
    """

    features: Float[np.ndarray, "images features"]
    squared_radii: Float64[np.ndarray, " images"]


def manifold(features: Float[np.ndarray, "images features"]) -> Manifold:
    """The balls of a set of images.

    Raises:
      ValueError: there are not more than `NEIGHBORS` images.
    """
    if len(features) <= NEIGHBORS:
        raise ValueError(f"{len(features)} images have no {NEIGHBORS} neighbors each")
    (centered,) = _centered(features)
    nearest = []
    for rows in _blocks(len(centered)):
        squared, _ = _distances(centered[rows], centered)
        squared[np.arange(len(squared)), np.arange(len(centered))[rows]] = np.inf  # itself
        nearest.append(np.partition(squared, NEIGHBORS - 1, axis=1)[:, NEIGHBORS - 1])
    return Manifold(features, np.maximum(np.concatenate(nearest), 0.0))


def compare(real: Manifold, generated: Manifold) -> dict[str, float]:
    """How a generated set lies in a real one.

    Returns:
      `precision`: share of generated images inside a ball of real ones; `recall`: share of real images inside a ball of
      generated ones; `density`: mean number of real balls around a generated image, over k, 1 for equal sets and more
      where generated images crowd; `coverage`: share of real balls with a generated image inside.
    """
    of_real, of_generated = _centered(real.features, generated.features)
    balls, covered, recalled = np.zeros(len(of_generated)), 0, 0
    for rows in _blocks(len(of_real)):
        squared, rounding = _distances(of_real[rows], of_generated)
        squared -= rounding
        in_real = squared <= (1.0 + TIE) * real.squared_radii[rows, None]
        balls += np.sum(in_real, axis=0)
        covered += int(np.count_nonzero(in_real.any(axis=1)))
        recalled += int(np.count_nonzero((squared <= (1.0 + TIE) * generated.squared_radii[None]).any(axis=1)))
    return {
        "precision": float(np.mean(balls > 0)),
        "recall": recalled / len(of_real),
        "density": float(np.mean(balls) / NEIGHBORS),
        "coverage": covered / len(of_real),
    }


def squared_distances(
    rows: Float[np.ndarray, "rows features"], columns: Float[np.ndarray, "columns features"]
) -> Float64[np.ndarray, "rows columns"]:
    """Of every row to every column; rounding may leave less than 0."""
    return _distances(*_centered(rows, columns))[0]


def _centered(*sets: np.ndarray) -> list[Float64[np.ndarray, "_ features"]]:
    """Around the mean of the first set: squared norms no larger than need be, so that they cancel well."""
    center = sets[0].mean(axis=0, dtype=np.float64)
    return [features - center for features in sets]


def _blocks(count: int) -> Iterator[slice]:
    return (slice(first, first + ROWS) for first in range(0, count, ROWS))


def _distances(
    rows: Float64[np.ndarray, "rows features"], columns: Float64[np.ndarray, "columns features"]
) -> tuple[Float64[np.ndarray, "rows columns"], Float64[np.ndarray, "rows columns"]]:
    """Squared distances as differences of squared norms, and a bound of the rounding error in them.

    In float64, for clusters that are far apart have norms a million times the squares of their radii: in float32
    nothing would be left of these.
    """
    norms = np.sum(rows**2, axis=1)[:, None] + np.sum(columns**2, axis=1)[None]
    return norms - 2.0 * rows @ columns.T, (rows.shape[1] + 8) * np.finfo(np.float64).eps * norms
