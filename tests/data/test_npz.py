import numpy as np
import pytest

from ctc_jax.data.npz import Npz
from ctc_jax.options import OptionError

GREY = np.arange(196, 256, dtype=np.uint8).reshape(5, 3, 4)
COLOR = np.arange(180, dtype=np.uint8).reshape(5, 3, 4, 3)


def test_grey_images_get_a_channel_and_zero_labels(tmp_path, places):
    np.savez(tmp_path / "a.npz", images=GREY)
    data = Npz(str(tmp_path / "a.npz")).build(places)
    np.testing.assert_array_equal(data.images[..., 0], GREY)
    np.testing.assert_array_equal(data.labels, np.zeros(5))
    assert (data.classes, len(data.test_images)) == (1, 0)


def test_all_four_arrays_are_read(tmp_path, places):
    np.savez(tmp_path / "a.npz", images=COLOR, labels=np.arange(5), test_images=COLOR[:2], test_labels=np.array([6, 1]))
    data = Npz(str(tmp_path / "a.npz")).build(places)
    np.testing.assert_array_equal(data.images, COLOR)
    np.testing.assert_array_equal(data.labels, np.arange(5))
    np.testing.assert_array_equal(data.test_images, COLOR[:2])
    np.testing.assert_array_equal(data.test_labels, [6, 1])
    assert data.classes == 7


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "with the array images; it has none"),
        ({"pictures": GREY}, "it holds 'pictures'"),
        ({"images": GREY, "label": np.arange(5)}, r"it holds 'label' \(did you mean labels\?\)"),
        ({"images": GREY, "test_image": GREY}, r"did you mean test_images"),
        ({"images": np.zeros((5, 0, 4), np.uint8)}, r"it is uint8 \(5, 0, 4\)"),
        ({"images": GREY, "labels": 2**32 + np.arange(5)}, "labels are int64 .* from 4294967296"),
        ({"images": GREY, "labels": np.full(5, 2**20)}, "a whole number of 0 to 1,048,575"),
        ({"images": GREY.astype(np.float32)}, r"images of type uint8 or bool .* it is float32 \(5, 3, 4\)"),
        ({"images": GREY[0]}, r"it is uint8 \(3, 4\)"),
        ({"images": np.zeros((2, 3, 4, 5), np.uint8)}, r"it is uint8 \(2, 3, 4, 5\)"),
        (
            {"images": GREY, "labels": np.arange(4)},
            r"labels are int64 of shape \(4,\) from 0 to 3; allowed: 5 classes",
        ),
        ({"images": GREY, "labels": np.arange(5.0)}, "labels are float64"),
        ({"images": GREY, "labels": -np.arange(5)}, "from -4 to 0"),
        ({"images": GREY, "test_images": COLOR}, "images of one shape"),
        ({"images": GREY, "labels": np.arange(5), "test_images": GREY}, "an .npz with test_labels"),
        ({"images": np.array([None])}, "an .npz file of arrays"),
    ],
)
def test_an_array_that_does_not_fit_is_named(tmp_path, places, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(OptionError, match=message) as caught:
        Npz(str(tmp_path / "a.npz")).build(places)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut", b"text"])
def test_a_missing_or_broken_file_is_named(tmp_path, places, content):
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(OptionError, match=r"a\.npz.*an \.npz file of arrays"):
        Npz(str(tmp_path / "a.npz")).build(places)


def test_a_single_array_is_refused(tmp_path, places):
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(OptionError, match=r"an \.npz file of arrays"):
        Npz(str(tmp_path / "a.npy")).build(places)


@pytest.mark.parametrize("key", ["images", "test_images"])
def test_bits_are_told_from_the_largest_level_of_both_parts_or_asked_for(tmp_path, places, key):
    arrays = {"images": np.zeros((5, 3, 4), np.uint8), "test_images": np.zeros((2, 3, 4), np.uint8)}
    arrays[key][1, 2, 3] = 15
    np.savez(tmp_path / "a.npz", **arrays)
    told = Npz(str(tmp_path / "a.npz")).build(places)
    asked = Npz(str(tmp_path / "a.npz"), stored_bits=8).build(places)
    assert (told.bits, len(told.notes), asked.bits, asked.notes) == (4, 1, 8, ())


def test_truth_values_are_binary_images_and_labels(tmp_path, places):
    np.savez(tmp_path / "a.npz", images=GREY % 2 == 1, labels=np.arange(5) > 2)
    data = Npz(str(tmp_path / "a.npz")).build(places)
    np.testing.assert_array_equal(data.images[..., 0], GREY % 2)
    assert (data.bits, data.classes, data.labels.tolist()) == (1, 2, [0, 0, 0, 1, 1])
