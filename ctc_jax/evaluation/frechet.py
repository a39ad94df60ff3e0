"""Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, arXiv:1706.08500).

Tests: tests/evaluation/test_frechet.py.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64


@dataclass(frozen=True)
class Gaussian:
    """A normal law, of any rank.

    Attributes:
      mean: of each feature.
      covariance: symmetric and positive semidefinite.
    """

    mean: Float64[np.ndarray, " features"]
    covariance: Float64[np.ndarray, "features features"]

    @cached_property
    def root(self) -> Float64[np.ndarray, "features rank"]:
        """R with R R^T = covariance, without the directions whose variance is rounding error; computed once."""
        variances, directions = np.linalg.eigh(self.covariance)
        kept = variances > len(variances) * np.finfo(np.float64).eps * np.max(variances)
        return directions[:, kept] * np.sqrt(variances[kept])


def fit_gaussian(features: Float[np.ndarray, "images features"]) -> Gaussian:
    """Mean and unbiased covariance of at least two rows, in float64."""
    mean = features.mean(axis=0, dtype=np.float64)
    centered = features - mean
    return Gaussian(mean, centered.T @ centered / (len(features) - 1))


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    """The squared distance |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson and Landau 1982), as FID is.

    With C1 = R R^T, C1 C2 has the nonzero eigenvalues of the symmetric R^T C2 R, so that no square root of an
    unsymmetric or singular matrix is taken. The root of `one` alone is needed, and kept by it.
    """
    shared = np.linalg.eigvalsh(one.root.T @ other.covariance @ one.root) if one.root.size else np.zeros(1)
    traces = np.trace(one.covariance) + np.trace(other.covariance)
    distance = np.sum((one.mean - other.mean) ** 2) + traces - 2.0 * np.sum(np.sqrt(np.maximum(shared, 0.0)))
    return float(max(distance, 0.0))
