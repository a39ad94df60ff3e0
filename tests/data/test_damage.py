"""Files of every reader, mutated at random: what is read is told in a line where it cannot be, and ends soon."""

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctc_jax.data.cifar10 import read_strips
from ctc_jax.data.folder import Folder
from ctc_jax.data.idx import read as read_idx
from ctc_jax.data.npz import Npz
from ctc_jax.data.source import Unavailable
from ctc_jax.data.static_mnist import StaticMnist
from ctc_jax.errors import UserError
from ctc_jax.options import OptionError

MUTATIONS = int(os.environ.get("CTC_JAX_MUTATIONS", "60"))  # of each kind of file
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(256, size=(6, 8, 8, 1), dtype=np.uint8)
PICTURES = {
    "PNG": {"pnginfo": None},
    "JPEG": {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"},
    "GIF": {"save_all": True, "append_images": [Image.new("P", (8, 8), 3)]},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
    "PPM": {},
}


def write_npz(folder: Path, save: Callable = np.savez) -> list[Path]:
    save(folder / "a.npz", images=IMAGES, labels=np.arange(6), test_images=IMAGES[:2], test_labels=np.arange(2))
    return [folder / "a.npz"]


def write_packed_npz(folder: Path) -> list[Path]:
    return write_npz(folder, np.savez_compressed)


def write_static(folder: Path) -> list[Path]:
    rows = GENERATOR.integers(256, size=(6, 98), dtype=np.uint8)
    np.savez_compressed(folder / "a.npz", train=rows, valid=rows[:2], test=rows[:3])
    return [folder / "a.npz"]


def write_idx(folder: Path) -> list[Path]:
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3])))
    return [path]


def write_strips(folder: Path) -> list[Path]:
    strip = Image.fromarray(GENERATOR.integers(256, size=(1, 1024, 3), dtype=np.uint8))
    paths = [folder / f"{name}.png" for name in (*(f"data_batch_{part}" for part in range(1, 6)), "test_batch")]
    for path in paths:
        strip.save(path)
    for name, labels in (("train", [1, 2, 3, 4, 5]), ("test", [6])):
        (folder / f"{name}_lables.json").write_text(json.dumps(labels))
        paths.append(folder / f"{name}_lables.json")
    return paths


def write_picture(form: str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        path = folder / f"a.{form.lower()}"
        Image.fromarray(IMAGES[0, ..., 0]).save(path, form, **PICTURES[form])
        return [path]

    return write


KINDS = {
    "npz": (write_npz, lambda folder, places: Npz(str(folder / "a.npz")).build(places)),
    "packed npz": (write_packed_npz, lambda folder, places: Npz(str(folder / "a.npz")).build(places)),
    "static_mnist": (write_static, lambda folder, places: StaticMnist(str(folder / "a.npz")).build(places)),
    "idx": (
        write_idx,
        lambda folder, places: read_idx(folder / "train-images-idx3-ubyte", hashlib.md5(b"another").hexdigest()),
    ),
    "cifar10": (write_strips, lambda folder, places: read_strips(folder)),
    **{form: (write_picture(form), lambda folder, places: Folder(str(folder)).build(places)) for form in PICTURES},
}


def mutated(content: bytes, generator: np.random.Generator) -> bytes:
    """The content with bits flipped, bytes replaced, a piece cut out or doubled, or its end missing."""
    damaged = bytearray(content)
    start, length = int(generator.integers(len(content))), int(generator.integers(1, 9))
    kind = generator.integers(5)
    if kind == 0:
        damaged[start] ^= 1 << int(generator.integers(8))
    elif kind == 1:
        damaged[start : start + length] = generator.bytes(len(damaged[start : start + length]))
    elif kind == 2:
        del damaged[start : start + length]
    elif kind == 3:
        damaged[start:start] = damaged[start : start + length]
    else:
        del damaged[start:]
    return bytes(damaged)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_read_or_refused_in_a_line(tmp_path, places, kind):
    write, read = KINDS[kind]
    generator = np.random.default_rng(list(KINDS).index(kind))
    folder = tmp_path / "data"
    folder.mkdir()
    paths = write(folder)
    contents = [path.read_bytes() for path in paths]
    refused = []
    for _ in range(MUTATIONS):
        which = int(generator.integers(len(paths)))
        paths[which].write_bytes(mutated(contents[which], generator))
        try:
            read(folder, places)
        except (OptionError, UserError, Unavailable) as error:
            refused.append(str(error))
        paths[which].write_bytes(contents[which])
    assert len(refused) >= 3
    assert not any("\n" in message for message in refused)


@pytest.mark.parametrize("kind", KINDS)
def test_a_named_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, places, kind):
    write, read = KINDS[kind]
    paths = write(tmp_path)
    paths[0].unlink()
    os.mkfifo(paths[0])
    with pytest.raises((OptionError, UserError, Unavailable)):
        read(tmp_path, places)
