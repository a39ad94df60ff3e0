"""A picture file's pixels as an array. Tests: tests/data/test_folder.py."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")


def fit(image: Image.Image, side: int = 0, color: bool | None = None) -> UInt8[np.ndarray, "height width channels"]:
    """Grey pixels or RGB; the central square scaled to `side` when that is not 0.

    Args:
      image: an opened picture.
      side: of the square, in pixels.
      color: three channels or one; None is the picture's own.

    Raises:
      ValueError: the picture has more than 8 bits a channel.
    """
    if image.mode in DEEP:
        raise ValueError(f"it has more than 8 bits a pixel (mode {image.mode})")
    color = is_color(image) if color is None else color
    image = image.convert("RGB" if color else "L")
    if side:
        left, top = (image.width - min(image.size)) // 2, (image.height - min(image.size)) // 2
        box = (left, top, left + min(image.size), top + min(image.size))
        # Each pixel is the mean of the area it covers: no ringing beyond the picture's own levels.
        image = image.resize((side, side), Image.Resampling.BOX, box=box)
    pixels = np.asarray(image)
    return pixels if color else pixels[..., None]


def is_color(image: Image.Image) -> bool:
    """Whether the picture's mode has colors (a palette counts as colored)."""
    return image.mode not in ("1", "L", "LA", "La")
