"""A picture file's pixels, as a viewer shows them. Tests: tests/data/test_pictures.py."""

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from ctc_jax.data.source import reason

T = TypeVar("T")
VERSION = 2  # of what is read from a file: arrays kept by another version are prepared anew
FORMATS = (
    "PNG",
    "JPEG",
    "BMP",
    "DIB",
    "GIF",
    "TIFF",
    "WEBP",
    "PPM",
)  # others may start programs (EPS) or be no pictures
GREY = ("1", "L", "LA", "La")
DEEP = ("I;16", "I;16B", "I;16L", "I;16N")


def opened(file: Path | io.IOBase, use: Callable[[Image.Image], T]) -> T:
    """`use` of the opened picture, of which Pillow reads the pixels when they are asked for.

    Raises:
      ValueError: it cannot be read, or has more pixels than Pillow takes for safe; the message says why, in a line.
    """
    if isinstance(file, Path) and not os.path.isfile(file):  # to open a named pipe would wait for its other end
        raise ValueError("it is no file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that no pixel depends on
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                return use(image)
    except Image.UnidentifiedImageError:
        raise ValueError(f"it is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
    except Exception as error:  # What Pillow's readers raise at damage has no common base.
        raise ValueError(reason(error)) from None


def shown(
    image: Image.Image, side: int = 0, *, color: bool, background: int = 255
) -> UInt8[np.ndarray, "height width channels"]:
    """Grey pixels or RGB of the first frame, the right way up, before a background where it is transparent.

    Of 16 bits per channel the higher 8 are kept.

    Args:
      image: an opened picture.
      side: of the square that the central part is scaled to, in pixels; 0 keeps the size.
      color: three channels or one.
      background: grey level behind transparent pixels.

    Raises:
      ValueError: its pixels are integers of 32 bits or floats, of which no level is white by convention.
    """
    deep = image.mode in DEEP or (image.mode == "I" and image.format == "PPM")
    if image.mode in ("I", "F") and not deep:
        raise ValueError(f"it has 32 bits per pixel (mode {image.mode})")
    image = ImageOps.exif_transpose(image)
    if deep:
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        behind = Image.new("RGBA", image.size, (background, background, background, 255))
        image = Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")
    image = image.convert("RGB" if color else "L")
    if side:
        left, top = (image.width - min(image.size)) // 2, (image.height - min(image.size)) // 2
        box = (left, top, left + min(image.size), top + min(image.size))
        # Each pixel is the mean of the area it covers: no ringing beyond the picture's own levels.
        image = image.resize((side, side), Image.Resampling.BOX, box=box)
    pixels = np.asarray(image)
    return pixels if color else pixels[..., None]


def is_color(image: Image.Image) -> bool:
    """Whether the picture's mode has colors; a palette has where a pixel shows one."""
    if image.mode in ("P", "PA"):
        pixels = shown(image, color=True)
        return bool(np.any(pixels != pixels[..., :1]))
    return image.mode not in (*GREY, *DEEP, "I", "F")


def peculiarities(image: Image.Image) -> list[str]:
    """What of the picture is not loaded, in words that finish "pictures ..."; [] where all of it is."""
    profile = image.info.get("icc_profile") or b""
    found = {
        "are animated or have several pages: the first is loaded": getattr(image, "is_animated", False)
        and image.format != "MPO",  # a photograph with a smaller copy of itself
        "have 16 bits per channel: the higher 8 are loaded": image.mode in (*DEEP, "I")
        or ";16" in str(getattr(image, "tile", "")),
        # Descriptions in profiles are ASCII or UTF-16.
        "have a color profile other than sRGB, which is not applied": profile
        and b"sRGB" not in profile.replace(b"\0", b""),
    }
    return [words for words, holds in found.items() if holds]
