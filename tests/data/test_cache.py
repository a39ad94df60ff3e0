import threading

import numpy as np
import pytest

from ctc_jax.data.cache import Damaged, cached, fingerprint, read
from ctc_jax.data.source import Arrays
from ctc_jax.options import OptionError


def arrays(level=7):
    images = np.full((5, 2, 2, 1), level, np.uint8)
    return Arrays(
        images,
        np.arange(5, dtype=np.int32),
        images[:2],
        np.arange(2, dtype=np.int32),
        5,
        "a test",
        1,
        notes=("a note",),
    )


def never():
    raise AssertionError("prepared again")


def test_the_second_load_maps_what_the_first_wrote(tmp_path):
    cached(tmp_path / "data", "grey", arrays)
    again = cached(tmp_path / "data", "grey", never)
    for part in ("images", "labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(again, part), getattr(arrays(), part))
    assert isinstance(again.images, np.memmap)
    assert (again.classes, again.origin, again.validation, again.bits, again.notes) == (5, "a test", 1, 8, ("a note",))
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["grey"]


@pytest.mark.parametrize("name", ["images.npy", "test_labels.npy", "about.json"])
@pytest.mark.parametrize("damage", ["cut", "removed", "emptied"])
def test_a_damaged_folder_is_prepared_anew(tmp_path, name, damage):
    cached(tmp_path, "grey", arrays)
    path = tmp_path / "grey" / name
    content = path.read_bytes()
    path.unlink()
    if damage != "removed":
        path.write_bytes(content[:-3] if damage == "cut" else b"")
    with pytest.raises(Damaged):
        read(tmp_path / "grey")
    again = cached(tmp_path, "grey", lambda: arrays(8))
    assert np.all(again.images == 8)
    assert [path.name for path in tmp_path.iterdir()] == ["grey"]


def test_an_array_of_another_shape_is_noticed(tmp_path):
    cached(tmp_path, "grey", arrays)
    np.save(tmp_path / "grey" / "images.npy", np.zeros((4, 2, 2, 1), np.uint8))
    with pytest.raises(Damaged, match="its content differs from what was written"):
        read(tmp_path / "grey")


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "test_images.npy", "test_labels.npy", "about.json"])
def test_a_flipped_bit_is_noticed_anywhere(tmp_path, name):
    """Or changes no value, as in the padding of a header."""
    generator = np.random.default_rng(0)
    cached(tmp_path, "grey", arrays)
    content = (tmp_path / "grey" / name).read_bytes()
    prepared = 0
    for position in [*generator.integers(len(content), size=40).tolist(), len(content) - 1]:
        damaged = bytearray(content)
        damaged[position] ^= 1 << generator.integers(8)
        path = tmp_path / "grey" / name
        path.unlink()
        path.write_bytes(damaged)
        try:
            found = read(tmp_path / "grey")
        except Damaged:
            prepared += 1
            found = cached(tmp_path, "grey", arrays)
        for part in ("images", "labels", "test_images", "test_labels"):
            np.testing.assert_array_equal(getattr(found, part), getattr(arrays(), part))
            assert getattr(found, part).dtype == getattr(arrays(), part).dtype
        assert (found.classes, found.origin, found.validation, found.bits) == (5, "a test", 1, 8)
    assert prepared >= 10


def test_a_cache_that_is_damaged_is_told(tmp_path, caplog):
    cached(tmp_path, "grey", arrays)
    np.save(tmp_path / "grey" / "labels.npy", np.arange(5, dtype=np.int32)[::-1])
    cached(tmp_path, "grey", arrays)
    told = "is damaged (its content differs from what was written) and is prepared anew"
    assert caplog.messages == [f"{tmp_path / 'grey'} {told}"]


def test_nothing_stays_behind_when_preparing_fails(tmp_path):
    with pytest.raises(AssertionError, match="prepared again"):
        cached(tmp_path, "grey", never)
    assert not list(tmp_path.iterdir())


def test_preparing_twice_at_once_keeps_one_whole_folder(tmp_path):
    barrier, results = threading.Barrier(4), {}

    def prepare(level):
        def slow():
            barrier.wait(10)
            return arrays(level)

        results[level] = cached(tmp_path, "grey", slow)

    threads = [threading.Thread(target=prepare, args=(level,)) for level in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    kept = read(tmp_path / "grey").images
    assert len(np.unique(kept)) == 1
    assert all(np.array_equal(results[level].images, kept) for level in range(4))
    assert [path.name for path in tmp_path.iterdir()] == ["grey"]


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match=r"directory .* a writable folder"):
        cached(tmp_path / "file", "grey", arrays)


def test_the_fingerprint_changes_with_the_files(tmp_path):
    (tmp_path / "a").write_text("1")
    before = fingerprint(tmp_path.iterdir())
    assert fingerprint(tmp_path.iterdir()) == before
    (tmp_path / "a").write_text("12")
    after = fingerprint(tmp_path.iterdir())
    (tmp_path / "b\udcff").write_text("")
    assert len({before, after, fingerprint(tmp_path.iterdir())}) == 3
