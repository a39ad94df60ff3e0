"""Arrays in an .npz file, read within bounds of time and memory whatever the file holds.

Tests: tests/data/test_archive.py.
"""

import stat
import warnings
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from ctc_jax.data.source import reason
from ctc_jax.errors import nearest

# A file may unpack to this many bytes, or to this many times its packed size where that is more: images of noise
# hardly shrink, sparse binary ones by a factor of tens, and a bomb by a thousand.
UNPACKED = 2**30
RATIO = 200


class Unreadable(ValueError):
    """A file does not hold what it should; the message says what it holds, in a line."""


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name.

    Args:
      path: of the file.
      names: arrays that may be there; None allows any.

    Raises:
      Unreadable: no such file, no arrays, another name, damage, or a size out of proportion.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a named pipe would wait for its other end
            raise Unreadable("it is no regular file")
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, at a damaged header
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            _check(members, names)
            return {name: _array(archive, member) for name, member in members.items()}
    except Unreadable:
        raise
    except Exception as error:  # What zipfile, its decompressors and numpy raise at damage has no common base.
        raise Unreadable(f"it cannot be read: {reason(error)}") from None


def _check(members: Mapping[str, zipfile.ZipInfo], names: Collection[str] | None) -> None:
    for name in members:
        if names is not None and name not in names:
            raise Unreadable(f"it holds {name!r}{nearest(name, names)}, and only {', '.join(names)} are read")
    packed, unpacked = (
        sum(getattr(member, size) for member in members.values()) for size in ("compress_size", "file_size")
    )
    if unpacked > max(UNPACKED, RATIO * packed):
        raise Unreadable(f"it would unpack from {packed / 2**20:,.1f} MiB to {unpacked / 2**20:,.1f} MiB")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
        if stream.read(1):  # which also compares the checksum, should numpy have left off early
            raise Unreadable(f"{member.filename} goes on after its array")
        return array
