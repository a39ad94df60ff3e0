"""Sharpness of pictures: the variance of the Laplacian. Tests: tests/evaluation/test_sharpness.py."""

import numpy as np
from jaxtyping import Float, Num


def laplacian_variance(
    images: Num[np.ndarray, "images height width channels"], levels: int
) -> Float[np.ndarray, " images"]:
    """Variance over the inner pixels of the 4-neighbor Laplacian of the grey picture, levels rescaled to [0, 1].

    A blurred picture has little. Noise has much, so the value is to be read beside that of real images.

    Args:
      images: levels 0 to `levels`.
      levels: the highest level.
    """
    grey = np.asarray(images, np.float64).mean(axis=-1) / levels
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return (around - 4.0 * inner).var(axis=(1, 2))
