import gzip
import hashlib

import numpy as np
import pytest

from ctc_jax.data import fashion_mnist
from ctc_jax.data.idx import PARTS, read, read_dataset
from ctc_jax.data.source import Unavailable


def encode(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def write(folder, packed):
    generator = np.random.default_rng(0)
    arrays = [generator.integers(10, size=shape, dtype=np.uint8) for shape in ((6, 3, 2), (6,), (4, 3, 2), (4,))]
    for part, array in zip(PARTS, arrays, strict=True):
        content = encode(array)
        path = folder / f"{part}-ubyte"
        if packed:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
        else:
            path.write_bytes(content)
    return arrays, tuple(hashlib.md5(encode(array)).hexdigest() for array in arrays)


@pytest.mark.parametrize("packed", [False, True])
def test_the_four_files_become_a_dataset(tmp_path, packed):
    arrays, checksums = write(tmp_path, packed)
    data = read_dataset(tmp_path, checksums, "a test", 2)
    np.testing.assert_array_equal(data.images[..., 0], arrays[0])
    np.testing.assert_array_equal(data.labels, arrays[1])
    np.testing.assert_array_equal(data.test_images[..., 0], arrays[2])
    np.testing.assert_array_equal(data.test_labels, arrays[3])
    assert (data.classes, data.validation) == (10, 2)


def test_a_file_with_another_checksum_is_refused(tmp_path):
    _, checksums = write(tmp_path, packed=False)
    path = tmp_path / f"{PARTS[0]}-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(Unavailable, match=f"{PARTS[0]}-ubyte has md5"):
        read(path, checksums[0])


@pytest.mark.parametrize("content", [None, b"", b"\x1f\x8b not gzip"])
def test_a_missing_or_broken_file_is_named(tmp_path, content):
    path = tmp_path / "train-images-idx3-ubyte"
    if content is not None:
        (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(Unavailable, match="train-images-idx3-ubyte"):
        read(path, "")


def test_fashion_mnist_lies_where_its_package_puts_it(tmp_path, monkeypatch):
    with pytest.raises(Unavailable, match="fashion-mnist"):
        fashion_mnist.load_installed(tmp_path)
    folder = tmp_path / "usr/share/datasets/fashion-mnist"
    folder.mkdir(parents=True)
    arrays, checksums = write(folder, packed=True)
    monkeypatch.setattr(fashion_mnist, "CHECKSUMS", checksums)
    np.testing.assert_array_equal(fashion_mnist.load_installed(tmp_path).labels, arrays[1])
