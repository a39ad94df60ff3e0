"""The IDX format of MNIST's files, plain or gzipped. Tests: tests/data/test_idx.py."""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ctc_jax.data.source import Arrays, Unavailable, reason

UNPACKED = 2**26  # bytes of the largest file, rounded up: a bomb is not unpacked further
PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def read(path: Path, md5: str) -> UInt8[np.ndarray, "..."]:
    """The array in a file of bytes: two zeros, type 8, the number of axes, big-endian sizes, then the values.

    Args:
      path: the file; `path` with `.gz` is read when `path` is not there.
      md5: checksum of the unpacked bytes.

    Raises:
      Unavailable: the file is missing or is not the one expected.
    """
    try:
        found = next(place for place in (path, path.with_name(path.name + ".gz")) if os.path.isfile(place))
        with open(found, "rb") if found == path else gzip.open(found) as file:
            content = file.read(UNPACKED)
    except StopIteration:
        raise Unavailable(f"{path.name} is not there") from None
    except (OSError, EOFError, zlib.error) as error:
        raise Unavailable(f"{path.name} cannot be read: {reason(error)}") from None
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if checksum != md5:
        raise Unavailable(f"{path.name} has md5 {checksum}, not {md5}")
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def read_dataset(folder: Path, checksums: tuple[str, str, str, str], origin: str, validation: int) -> Arrays:
    """The four files of MNIST or of a dataset in its form, whose md5 are `checksums` in the order of `PARTS`."""
    images, labels, test_images, test_labels = (
        read(folder / f"{part}-ubyte", md5) for part, md5 in zip(PARTS, checksums, strict=True)
    )
    return Arrays(
        images[..., None],
        labels.astype(np.int32),
        test_images[..., None],
        test_labels.astype(np.int32),
        classes=10,
        origin=origin,
        validation=validation,
    )
