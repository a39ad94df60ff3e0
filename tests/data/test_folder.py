import numpy as np
import pytest
from PIL import Image

from ctc_jax.data import build
from ctc_jax.data.folder import load
from ctc_jax.data.pictures import fit
from ctc_jax.errors import ConfigError


def pixels(shape, seed=0):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def write(folder, count, shape=(4, 4), name="{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(pixels(shape, index)).save(folder / name.format(index))


def test_subfolders_are_classes_and_pixels_are_exact(tmp_path, source):
    write(tmp_path / "p" / "cat", 4)
    write(tmp_path / "p" / "dog" / "young", 3)
    (tmp_path / "p" / "notes.txt").write_text("not a picture")
    data = load(source(tmp_path / "p"))
    assert data.images.shape == (7, 4, 4, 1)
    assert data.classes == 2
    for label, count in ((0, 4), (1, 3)):
        found = sorted(data.images[data.labels == label].tolist())
        assert found == sorted(pixels((4, 4), index)[..., None].tolist() for index in range(count))


def test_one_colored_picture_makes_all_colored(tmp_path, source):
    write(tmp_path / "p", 2)
    write(tmp_path / "p", 1, (4, 4, 3), "color.png")
    assert load(source(tmp_path / "p")).images.shape == (3, 4, 4, 3)


def test_the_order_is_shuffled_and_the_same_each_time(tmp_path, source):
    write(tmp_path / "p" / "a", 20)
    write(tmp_path / "p" / "b", 20)
    first, second = load(source(tmp_path / "p")), load(source(tmp_path / "p"))
    np.testing.assert_array_equal(first.images, second.images)
    assert 0 < first.labels[:20].sum() < 20


def test_a_new_picture_is_noticed_in_the_cache(tmp_path, data_config):
    write(tmp_path / "p", 10)
    config = data_config(name="folder", path=str(tmp_path / "p"))
    data = build(config)
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 1, 1)
    write(tmp_path / "p", 11)
    data = build(config)
    assert len(data.train) + len(data.validation) + len(data.test) == 11


def test_the_central_square_is_scaled_by_area_means(tmp_path, source):
    picture = pixels((4, 10))
    (tmp_path / "p").mkdir()
    Image.fromarray(picture).save(tmp_path / "p" / "a.png")
    data = load(source(tmp_path / "p", image_size=2))
    expected = picture[:, 3:7].reshape(2, 2, 2, 2).mean((1, 3))
    np.testing.assert_allclose(data.images[0, ..., 0], expected, atol=1)


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGBA", 3), ("CMYK", 3)])
def test_every_8_bit_mode_becomes_grey_or_rgb(mode, channels):
    image = Image.new("RGB", (2, 3), (255, 255, 255)).convert(mode)
    np.testing.assert_array_equal(fit(image), np.full((3, 2, channels), 255, np.uint8))


def test_deep_pictures_are_refused(tmp_path, source):
    (tmp_path / "p").mkdir()
    Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(tmp_path / "p" / "deep.png")
    with pytest.raises(ConfigError, match=r"deep\.png: it has more than 8 bits"):
        load(source(tmp_path / "p"))


def test_different_sizes_need_an_image_size(tmp_path, source):
    write(tmp_path / "p", 1, (4, 4))
    write(tmp_path / "p", 1, (4, 6), "wide.png")
    with pytest.raises(ConfigError, match=r"config\.data\.image_size is 0; allowed: a side to scale to"):
        load(source(tmp_path / "p"))
    assert load(source(tmp_path / "p", image_size=4)).images.shape == (2, 4, 4, 1)


@pytest.mark.parametrize("name", ["", "absent", "empty", "file"])
def test_a_folder_without_pictures_is_named(tmp_path, data_config, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"config\.data\.path .* a folder with pictures"):
        build(data_config(name="folder", path=name and str(tmp_path / name)))


def test_a_broken_picture_is_named(tmp_path, source):
    write(tmp_path / "p", 2)
    path = tmp_path / "p" / "0.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ConfigError, match=r"0\.png"):
        load(source(tmp_path / "p"))
