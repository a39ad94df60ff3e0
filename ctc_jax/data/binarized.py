"""Grey images binarized by chance. Tests: tests/data/test_binarized.py."""

import numpy as np
from jaxtyping import UInt8


def binarized(
    images: UInt8[np.ndarray, "*batch height width channels"], generator: np.random.Generator
) -> UInt8[np.ndarray, "*batch height width channels"]:
    """Each pixel 1 with probability level / 255, else 0: a uniform level 0 .. 254 lies below x that often, exactly."""
    return (generator.integers(255, size=images.shape, dtype=np.uint8) < images).astype(np.uint8)
