"""How much of the variety of images one code leaves open. Tests: tests/evaluation/test_diversity.py."""

import numpy as np
from jaxtyping import Float


def diversity_within_code(
    first: Float[np.ndarray, "codes features"], second: Float[np.ndarray, "codes features"]
) -> float:
    """E |f(x1) - f(x2)|^2 of two images of one code, over that of images of independent codes.

    The share of the variance of f that the code does not decide: 1 where it decides nothing, 0 where everything (and
    where all images are the same). Both expectations are estimated without bias, the latter from all pairs of codes.

    Args:
      first: features of an image of each code, at least two codes.
      second: of another image of each.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    within = np.mean(np.sum((first - second) ** 2, axis=1))
    # Of n independent images the mean squared distance of all pairs is twice the total variance, n - 1 below.
    between = np.sum(np.var(first, axis=0, ddof=1)) + np.sum(np.var(second, axis=0, ddof=1))
    return float(within / between) if between else 0.0
