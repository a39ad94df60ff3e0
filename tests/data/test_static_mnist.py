import numpy as np
import pytest

from ctc_jax.data import build
from ctc_jax.data.static_mnist import NAME
from ctc_jax.errors import ConfigError, UserError


def pixels(count, seed):
    return np.random.default_rng(seed).integers(2, size=(count, 784), dtype=np.uint8)


def write(path, **changes):
    arrays = {split: np.packbits(pixels(count, count), axis=1) for split, count in SIZES.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{**arrays, **changes})


SIZES = {"train": 6, "valid": 3, "test": 4}


def test_bits_are_unpacked_into_the_files_own_splits(data_config, tmp_path):
    write(tmp_path / "a.npz")
    data = build(data_config("static_mnist", path=str(tmp_path / "a.npz")))
    for split, count in ((data.train, 6), (data.validation, 3), (data.test, 4)):
        np.testing.assert_array_equal(split.images.reshape(-1, 784), pixels(count, count))
    assert (data.bits, data.classes, data.binarization, data.image_shape) == (1, 1, "static", (28, 28, 1))


def test_the_file_is_found_in_the_data_directory_and_in_the_environments(data_config, places, tmp_path, monkeypatch):
    monkeypatch.setenv("CTC_JAX_DATA", str(tmp_path / "elsewhere"))
    write(tmp_path / "elsewhere" / NAME)
    config = data_config("static_mnist")
    assert build(config).origin == str(tmp_path / "elsewhere" / NAME)
    write(places.directory / NAME)
    assert build(config).origin == str(places.directory / NAME)


def test_where_it_was_looked_for_is_said(data_config, places, monkeypatch):
    monkeypatch.delenv("CTC_JAX_DATA", raising=False)
    config = data_config("static_mnist")
    with pytest.raises(
        UserError, match=rf"tried {places.directory / NAME}\. To get it: set config.data.static_mnist.path"
    ):
        build(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid": np.zeros((3, 784), np.uint8)}, r"valid is uint8 \(3, 784\), not uint8 \(n, 98\)"),
        ({"train": np.zeros((6, 98))}, "train is float64"),
        ({"test": np.zeros((10_000, 98), np.uint8)}, "the mean of test is 0.00000, not 0.13251"),
        ({"tset": np.zeros(3)}, r"it holds 'tset' \(did you mean test\?\)"),
        ({"train": np.zeros((0, 98), np.uint8)}, r"train is uint8 \(0, 98\)"),
    ],
)
def test_an_array_that_is_not_the_published_one_is_named(data_config, tmp_path, changes, message):
    write(tmp_path / "a.npz", **changes)
    with pytest.raises(ConfigError, match=message):
        build(data_config("static_mnist", path=str(tmp_path / "a.npz")))


def test_binarizing_again_is_refused(data_config, tmp_path):
    write(tmp_path / "a.npz")
    with pytest.raises(ConfigError, match="static_mnist is binary as it is"):
        build(data_config("static_mnist", path=str(tmp_path / "a.npz"), binarization="dynamic"))
