"""Precision, recall, density and coverage of generated images by nearest neighbors among features.

Precision and recall: Kynkäänniemi et al. 2019, arXiv:1904.06991. Density and coverage: Naeem et al. 2020,
arXiv:2002.09797. Tests: tests/evaluation/test_neighbors.py.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int

NEIGHBORS = 5  # k: the radius of an image is the distance of its k-th nearest neighbor
ROWS = 1000  # images of one set that meet all of the other in one device call
# Distances are differences of squared norms in float32. Those that differ by less than this share of the norms count
# as equal, else a tie, which integer pixels have many of, would fall by rounding error.
TIE = 1e-5


class Manifold(NamedTuple):
    """Images, and the ball around each that reaches to its k-th nearest neighbor among them.

    Attributes:
      features: one row an image.
      squared_radii: of the balls.
    """

    features: Float[np.ndarray, "images features"]
    squared_radii: Float32[np.ndarray, " images"]


def manifold(features: Float[np.ndarray, "images features"]) -> Manifold:
    """The balls of a set of images.

    Raises:
      ValueError: there are not more than `NEIGHBORS` images.
    """
    if len(features) <= NEIGHBORS:
        raise ValueError(f"{len(features)} images have no {NEIGHBORS} neighbors each")
    (centered,) = _centered(features)
    columns = jnp.asarray(centered)
    nearest = [np.asarray(_nearest(block, index, columns))[kept] for block, index, kept in _blocks(centered)]
    return Manifold(features, np.concatenate(nearest)[:, -1])


def compare(real: Manifold, generated: Manifold) -> dict[str, float]:
    """How a generated set lies in a real one.

    Returns:
      `precision`: share of generated images inside a ball of real ones; `recall`: share of real images inside a ball of
      generated ones; `density`: mean number of real balls around a generated image, over k, 1 for equal sets and more
      where generated images crowd; `coverage`: share of real balls with a generated image inside.
    """
    of_real, of_generated = _centered(real.features, generated.features)
    columns, radii = jnp.asarray(of_generated), jnp.asarray(generated.squared_radii)
    balls, covered, recalled = np.zeros(len(of_generated)), 0, 0
    for block, index, kept in _blocks(of_real):
        # A ball of minus infinity holds nothing: of the rows that only fill the block.
        own = np.where(kept, real.squared_radii[index], -np.inf).astype(np.float32)
        around, covers, inside = _meet(block, own, columns, radii)
        balls += np.asarray(around)
        covered += int(np.sum(np.asarray(covers)))
        recalled += int(np.sum(np.asarray(inside)[kept]))
    return {
        "precision": float(np.mean(balls > 0)),
        "recall": recalled / len(of_real),
        "density": float(np.mean(balls) / NEIGHBORS),
        "coverage": covered / len(of_real),
    }


def _centered(*sets: np.ndarray) -> list[np.ndarray]:
    """In float32 around the mean of the first set: squared norms no larger than need be, so that they cancel well."""
    center = sets[0].mean(axis=0, dtype=np.float64)
    return [(features - center).astype(np.float32) for features in sets]


def _blocks(features: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows in blocks of one size, their numbers, and which of them do not only fill the last block."""
    size = min(ROWS, len(features))
    for first in range(0, len(features), size):
        rows = np.arange(first, first + size)
        index = np.minimum(rows, len(features) - 1)
        yield features[index], index, rows < len(features)


def _distances(
    rows: Float32[Array, "rows features"], columns: Float32[Array, "columns features"]
) -> tuple[Float32[Array, "rows columns"], Float32[Array, "rows columns"]]:
    """Squared distances, and what may be rounding error in them."""
    norms = jnp.sum(rows**2, axis=1)[:, None] + jnp.sum(columns**2, axis=1)[None]
    products = jnp.matmul(rows, columns.T, precision=jax.lax.Precision.HIGHEST)
    return norms - 2.0 * products, TIE * norms


@jax.jit
def _nearest(
    rows: Float32[Array, "rows features"], index: Int[Array, " rows"], columns: Float32[Array, "columns features"]
) -> Float32[Array, "rows k"]:
    """Squared distances of the nearest others; all k, for XLA's CPU backend sorts whole rows to find the k-th alone."""
    squared, _ = _distances(rows, columns)
    itself = index[:, None] == jnp.arange(len(columns))[None]
    return -jax.lax.top_k(-jnp.where(itself, jnp.inf, squared), NEIGHBORS)[0]


@jax.jit
def _meet(
    rows: Float32[Array, "rows features"],
    row_radii: Float32[Array, " rows"],
    columns: Float32[Array, "columns features"],
    column_radii: Float32[Array, " columns"],
) -> tuple[Int[Array, " columns"], Bool[Array, " rows"], Bool[Array, " rows"]]:
    """Balls of rows around each column; rows whose ball holds a column; rows inside a ball of a column."""
    squared, error = _distances(rows, columns)
    in_row = squared <= row_radii[:, None] + error
    in_column = squared <= column_radii[None] + error
    return jnp.sum(in_row, axis=0), jnp.any(in_row, axis=1), jnp.any(in_column, axis=1)
