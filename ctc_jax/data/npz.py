"""Arrays of the user's own in an .npz file. Tests: tests/data/test_npz.py."""

import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from ctc_jax.data.source import Arrays, Source
from ctc_jax.errors import ConfigError

KEYS = ("images", "labels", "test_images", "test_labels")


def load(source: Source) -> Arrays:
    """`images` uint8 [n, h, w] or [n, h, w, c], and if you have them `labels` [n], `test_images`, `test_labels`.

    Raises:
      ConfigError: the file is missing, or an array's type or shape does not fit; the message says which and how.
    """
    path = Path(source.path).expanduser()
    try:
        # Opened here: numpy leaves a broken file open.
        with open(path, "rb") as file, np.load(file) as archive:
            found = {key: archive[key] for key in KEYS if key in archive.files}
            names = archive.files
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigError("data.path", source.path, f"an .npz file of arrays ({error})") from None
    if "images" not in found:
        raise ConfigError("data.path", source.path, f"an .npz with the array images; it has {', '.join(names)}")
    images = checked_images(source, "images", found["images"])
    test_images = checked_images(source, "test_images", found.get("test_images", images[:0]))
    if test_images.shape[1:] != images.shape[1:]:
        allowed = f"images of one shape; images are {images.shape[1:]}, test_images {test_images.shape[1:]}"
        raise ConfigError("data.path", source.path, allowed)
    if "labels" in found and len(test_images) and "test_labels" not in found:
        raise ConfigError("data.path", source.path, "an .npz with test_labels, since it has labels and test_images")
    labels = checked_labels(source, "labels", found.get("labels"), len(images))
    test_labels = checked_labels(source, "test_labels", found.get("test_labels"), len(test_images))
    classes = 1 + int(max(labels.max(initial=0), test_labels.max(initial=0)))
    return Arrays(images, labels, test_images, test_labels, classes, str(path))


def checked_images(source: Source, key: str, array: np.ndarray) -> UInt8[np.ndarray, "n height width channels"]:
    """The array with a channel axis.

    Raises:
      ConfigError: it is not uint8, has not three or four axes, or not one to four channels.
    """
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or (array.ndim == 4 and not 1 <= array.shape[-1] <= 4):
        allowed = f"{key} of type uint8 [n, height, width(, 1 to 4 channels)]; it is {array.dtype} {array.shape}"
        raise ConfigError("data.path", source.path, allowed)
    return array[..., None] if array.ndim == 3 else array


def checked_labels(source: Source, key: str, array: np.ndarray | None, count: int) -> Int32[np.ndarray, " n"]:
    """The array as int32; zeros when there is none.

    Raises:
      ConfigError: it does not hold one whole number, at least 0, for each image.
    """
    if array is None:
        return np.zeros(count, np.int32)
    if array.shape != (count,) or not np.issubdtype(array.dtype, np.integer) or array.min(initial=0) < 0:
        allowed = f"{key} of {count} whole numbers from 0, one an image; it is {array.dtype} {array.shape}"
        raise ConfigError("data.path", source.path, allowed)
    return array.astype(np.int32)
