import numpy as np
import pytest

from ctc_jax.data.npz import load
from ctc_jax.errors import ConfigError

GREY = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
COLOR = np.arange(180, dtype=np.uint8).reshape(5, 3, 4, 3)


def test_grey_images_get_a_channel_and_zero_labels(tmp_path, source):
    np.savez(tmp_path / "a.npz", images=GREY)
    data = load(source(tmp_path / "a.npz"))
    np.testing.assert_array_equal(data.images[..., 0], GREY)
    np.testing.assert_array_equal(data.labels, np.zeros(5))
    assert (data.classes, len(data.test_images)) == (1, 0)


def test_all_four_arrays_are_read(tmp_path, source):
    np.savez(tmp_path / "a.npz", images=COLOR, labels=np.arange(5), test_images=COLOR[:2], test_labels=np.array([6, 1]))
    data = load(source(tmp_path / "a.npz"))
    np.testing.assert_array_equal(data.images, COLOR)
    np.testing.assert_array_equal(data.labels, np.arange(5))
    np.testing.assert_array_equal(data.test_images, COLOR[:2])
    np.testing.assert_array_equal(data.test_labels, [6, 1])
    assert data.classes == 7


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": GREY}, "it has pictures"),
        ({"images": GREY.astype(np.float32)}, r"images of type uint8 .* it is float32 \(5, 3, 4\)"),
        ({"images": GREY[0]}, r"it is uint8 \(3, 4\)"),
        ({"images": np.zeros((2, 3, 4, 5), np.uint8)}, r"it is uint8 \(2, 3, 4, 5\)"),
        (
            {"images": GREY, "labels": np.arange(4)},
            r"labels of 5 whole numbers .* it is int64 \(4,\)",
        ),
        ({"images": GREY, "labels": np.arange(5.0)}, "it is float64"),
        ({"images": GREY, "labels": -np.arange(5)}, "whole numbers from 0"),
        ({"images": GREY, "test_images": COLOR}, "images of one shape"),
        ({"images": GREY, "labels": np.arange(5), "test_images": GREY}, "an .npz with test_labels"),
        ({"images": np.array([None])}, "an .npz file of arrays"),
    ],
)
def test_an_array_that_does_not_fit_is_named(tmp_path, source, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ConfigError, match=message) as caught:
        load(source(tmp_path / "a.npz"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut", b"text"])
def test_a_missing_or_broken_file_is_named(tmp_path, source, content):
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.npz.*an \.npz file of arrays"):
        load(source(tmp_path / "a.npz"))


def test_a_single_array_is_refused(tmp_path, source):
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(ConfigError, match=r"an \.npz file of arrays"):
        load(source(tmp_path / "a.npy"))
