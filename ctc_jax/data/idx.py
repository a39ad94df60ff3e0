"""The IDX format of MNIST's files, plain or gzipped. Tests: tests/data/test_idx.py."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ctc_jax.data.source import Arrays, Unavailable

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
        content = (
            path.read_bytes() if path.exists() else gzip.decompress(path.with_name(path.name + ".gz").read_bytes())
        )
    except (OSError, EOFError) as error:
        raise Unavailable(f"{path.name} cannot be read: {error}") from None
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise Unavailable(f"{path.name} has md5 {found}, not {md5}")
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
