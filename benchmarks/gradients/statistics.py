"""Bias, variance and direction of gradient estimators. Tests: tests/benchmarks/gradients/test_statistics.py.

Draws come in blocks of equal size, of which only the mean is kept: a sum over pairs of different blocks is free of the
noise of their means, so that the bias of an unbiased estimator is 0 in expectation, not its standard error.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# Biases below this part of the gradient's length are not told from the rounding of float32.
ROUNDING = 1e-5


class Draws(NamedTuple):
    """Draws of one gradient.

    Attributes:
      means: of each block.
      scatter: sum over all draws of the squared distance to the mean of their block.
      cosines: sum over all draws of the cosine to the reference.
      count: draws, in all blocks.
    """

    means: Float[np.ndarray, "blocks components"]
    scatter: float
    cosines: float
    count: int

    @property
    def mean(self) -> Float[np.ndarray, " components"]:
        """Of all draws."""
        return self.means.mean(axis=0, dtype=np.float64)

    @property
    def variance(self) -> float:
        """Of a component, averaged over components; from `count - 1` degrees of freedom."""
        between = self.count / len(self.means) * np.sum((self.means - self.mean) ** 2, dtype=np.float64)
        return float((self.scatter + between) / (self.count - 1) / self.means.shape[1])

    @property
    def cosine(self) -> float:
        """Of a single draw to the reference, averaged over draws."""
        return self.cosines / self.count


class Bias(NamedTuple):
    """Distance of an expectation from the exact gradient, relative to the latter's length.

    Attributes:
      relative: the distance; 0 where its square is estimated to be below 0.
      limit: the distance at two standard errors of its square above the estimate.
      z: the squared distance in standard errors; above 4 there is a bias.

    All are NaN where noise hides the length of the exact gradient.
    """

    relative: float
    limit: float
    z: float


def squared_length(means: Float[np.ndarray, "blocks components"]) -> float:
    """Of the expectation, unbiased: the mean of <x_i, x_j> over pairs of different blocks; one row is exact."""
    means = np.asarray(means, np.float64)
    products = means @ means.T
    return float(products[0, 0]) if len(means) == 1 else _over_pairs(products)


def bias(
    means: Float[np.ndarray, "blocks components"], reference: Float[np.ndarray, "reference_blocks components"]
) -> Bias:
    """Relative bias; independent draws of both.

    |E x - E r|^2 is estimated by the pairs of different blocks of x, those of r, and all pairs of x with r; its
    standard error is the jackknife's, over the blocks of either.

    Args:
      means: block means of the estimator, at least 3 blocks.
      reference: block means of an unbiased reference, or one row that is exact.
    """
    means, reference = np.asarray(means, np.float64), np.asarray(reference, np.float64)
    exact = len(reference) == 1
    length = squared_length(reference)
    if length <= 0:
        return Bias(float("nan"), float("nan"), float("nan"))
    # About the reference's mean, so that no digits cancel.
    stacked = np.concatenate([means, reference]) - reference.mean(axis=0)
    products = stacked @ stacked.T
    own, others = np.arange(len(means)), np.arange(len(means), len(stacked))

    def squared(own, others):
        of_reference = 0.0 if exact else _over_pairs(products[np.ix_(others, others)])
        return _over_pairs(products[np.ix_(own, own)]) + of_reference - 2.0 * products[np.ix_(own, others)].mean()

    found = squared(own, others)
    variance = _jackknife([squared(np.delete(own, i), others) for i in range(len(own))])
    if not exact:
        variance += _jackknife([squared(own, np.delete(others, i)) for i in range(len(others))])
    error = float(np.hypot(np.sqrt(variance), ROUNDING**2 * length))
    relative, limit = (float(np.sqrt(max(found, 0.0) + more) / np.sqrt(length)) for more in (0.0, 2.0 * error))
    return Bias(relative, limit, float(found / error))


def projection(
    means: Float[np.ndarray, "blocks components"], reference: Float[np.ndarray, "reference_blocks components"]
) -> float:
    """<E x, g> / |g|^2: 1 where there is no bias along the exact gradient g, below 1 where it is too short.

    Args:
      means: block means of the estimator.
      reference: those of an unbiased reference, or one row that is exact; the noise of its length is taken out.
    """
    length = squared_length(reference)
    return _inner(means, reference) / length if length > 0 else float("nan")


def direction(
    means: Float[np.ndarray, "blocks components"], reference: Float[np.ndarray, "reference_blocks components"]
) -> float:
    """Cosine of E x to g, the noise of both lengths taken out (so it may pass 1); NaN where noise hides one."""
    lengths = squared_length(means), squared_length(reference)
    return _inner(means, reference) / float(np.sqrt(lengths[0] * lengths[1])) if min(lengths) > 0 else float("nan")


def draw_cosine(draws: Draws, reference: Float[np.ndarray, "reference_blocks components"]) -> float:
    """Cosine of a single draw to g, averaged: that to the reference's mean, which its own noise made too long."""
    mean = np.asarray(reference, np.float64).mean(axis=0)
    length = squared_length(reference)
    return draws.cosine * float(np.sqrt(mean @ mean / length)) if length > 0 else float("nan")


def ratio_to_rloo(variance: float, rewards: int, of_rloo: Mapping[int, float]) -> float | None:
    """Variance relative to leave-one-out with as many rewards; None where that was not measured.

    An estimator of one reward is averaged over two of its draws, for leave-one-out needs two.

    Args:
      variance: of the estimator.
      rewards: that it takes.
      of_rloo: rewards to variances.
    """
    copies = 2 if rewards == 1 else 1
    if rewards * copies not in of_rloo:
        return None
    return variance / copies / of_rloo[rewards * copies]


def noise_to_signal(draws: Draws) -> float:
    """Total variance of one draw over the squared length of the expectation; NaN where noise hides the latter."""
    length = squared_length(draws.means)
    return draws.variance * draws.means.shape[1] / length if length > 0 else float("nan")


def _inner(means, reference) -> float:
    return float(np.asarray(means, np.float64).mean(axis=0) @ np.asarray(reference, np.float64).mean(axis=0))


def _over_pairs(products):
    """Mean of an array's entries off the diagonal."""
    count = len(products)
    return float((products.sum() - np.trace(products)) / (count * (count - 1)))


def _jackknife(left_out) -> float:
    """Variance of a statistic, of which these are the values without one block each."""
    left_out = np.asarray(left_out)
    return float((len(left_out) - 1) / len(left_out) * np.sum((left_out - left_out.mean()) ** 2))
