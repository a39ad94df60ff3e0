"""Arrays of the user's own in an .npz file. Tests: tests/data/test_npz.py."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, UInt8

from ctc_jax.data.archive import Unreadable, read_arrays
from ctc_jax.data.labels import checked_labels
from ctc_jax.data.places import Places, user_path
from ctc_jax.data.source import Arrays, Source
from ctc_jax.data.stored_bits import stored_bits_option, tell_bits
from ctc_jax.options import OptionError, option

KEYS = ("images", "labels", "test_images", "test_labels")


@dataclass(frozen=True)
class Npz(Source):
    """`images` [n, h, w] or [n, h, w, c], and if you have them `labels` [n], `test_images`, `test_labels`."""

    path: str = option("", "the .npz file")
    stored_bits: int = stored_bits_option()

    def build(self, places: Places) -> Arrays:
        """Raises `OptionError` where the file is missing or an array does not fit; the message says which and how."""
        del places
        path = user_path(self.path)
        try:
            found = read_arrays(path, KEYS)
        except Unreadable as error:
            raise OptionError("path", self.path, f"an .npz file of arrays ({error})") from None
        if "images" not in found:
            raise OptionError("path", self.path, f"an .npz with the array images; it has {', '.join(found) or 'none'}")
        images = self._images("images", found["images"])
        test_images = self._images("test_images", found.get("test_images", images[:0]))
        if test_images.shape[1:] != images.shape[1:]:
            allowed = f"images of one shape; images are {images.shape[1:]}, test_images {test_images.shape[1:]}"
            raise OptionError("path", self.path, allowed)
        if "labels" in found and len(test_images) and "test_labels" not in found:
            raise OptionError("path", self.path, "an .npz with test_labels, since it has labels and test_images")
        labels = self._labels("labels", found.get("labels"), len(images))
        test_labels = self._labels("test_labels", found.get("test_labels"), len(test_images))
        classes = 1 + int(max(labels.max(initial=0), test_labels.max(initial=0)))
        bits, notes = tell_bits(int(max(images.max(initial=0), test_images.max(initial=0))), self.stored_bits)
        return Arrays(images, labels, test_images, test_labels, classes, str(path), bits=bits, notes=notes)

    def _images(self, key: str, array: np.ndarray) -> UInt8[np.ndarray, "n height width channels"]:
        """The array with a channel axis, refused where it holds no images of whole levels."""
        array = array.astype(np.uint8) if array.dtype == bool else array
        shape = (*array.shape, 1) if array.ndim == 3 else array.shape
        if array.dtype != np.uint8 or len(shape) != 4 or not 1 <= shape[3] <= 4 or 0 in shape[1:3]:
            allowed = (
                f"{key} of type uint8 or bool [n, height, width(, 1 to 4 channels)]; it is {array.dtype} {array.shape}"
            )
            raise OptionError("path", self.path, allowed)
        return np.ascontiguousarray(array).reshape(shape)

    def _labels(self, key: str, array: np.ndarray | None, count: int) -> Int32[np.ndarray, " n"]:
        """Checked labels; zeros where there are none."""
        try:
            return np.zeros(count, np.int32) if array is None else checked_labels(array, count)
        except ValueError as error:
            raise OptionError("path", self.path, f"an .npz whose {key} fit; {error}") from None
