import os
import zipfile

import numpy as np
import pytest

from ctc_jax.data.archive import Unreadable, read_arrays

ARRAYS = {"images": np.arange(24, dtype=np.uint8).reshape(4, 3, 2), "labels": np.arange(4)}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote_is_read(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    found = read_arrays(tmp_path / "a.npz", ARRAYS)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_name_that_nothing_reads_is_refused_with_the_nearest(tmp_path):
    np.savez(tmp_path / "a.npz", label=np.arange(4))
    with pytest.raises(
        Unreadable, match=r"it holds 'label' \(did you mean labels\?\), and only images, labels are read"
    ):
        read_arrays(tmp_path / "a.npz", ARRAYS)
    assert list(read_arrays(tmp_path / "a.npz")) == ["label"]


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(Unreadable, match="no regular file"):
        read_arrays(tmp_path / "a.npz")


def test_an_array_out_of_proportion_to_its_file_is_not_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros(2**20, np.uint8))
    assert len(read_arrays(tmp_path / "a.npz")["images"]) == 2**20
    monkeypatch.setattr("ctc_jax.data.archive.UNPACKED", 2**19)
    monkeypatch.setattr("numpy.lib.format.read_array", None)
    with pytest.raises(Unreadable, match=r"it would unpack from 0\.0 MiB to 1\.0 MiB"):
        read_arrays(tmp_path / "a.npz")


def test_an_array_larger_than_the_limit_that_fills_its_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("ctc_jax.data.archive.UNPACKED", 2)
    np.savez(tmp_path / "a.npz", **ARRAYS)
    assert read_arrays(tmp_path / "a.npz").keys() == ARRAYS.keys()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello there", "magic string is not correct"),
        (b"", "EOF"),
        (b"\x93NUMPY\x01\x00\x06\x00{'a': ", "EOF"),
        (
            np.lib.format.magic(1, 0) + (118).to_bytes(2, "little") + b"\0" * 118,
            "",
        ),  # what is said depends on the version of Python
    ],
)
def test_an_entry_that_is_no_array_is_told_in_a_line(tmp_path, content, words):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(Unreadable, match="it cannot be read: ") as caught:
        read_arrays(tmp_path / "a.npz")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pickled_objects_are_not_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{}]))
    with pytest.raises(Unreadable, match="pickle"):
        read_arrays(tmp_path / "a.npz")
