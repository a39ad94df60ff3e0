import numpy as np
import pytest
from PIL import Image

from ctc_jax.data import build
from ctc_jax.data.folder import Folder
from ctc_jax.errors import ConfigError
from ctc_jax.options import OptionError


def pixels(shape, seed=0):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def write(folder, count, shape=(4, 4), name="{}.png", first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        Image.fromarray(pixels(shape, index)).save(folder / name.format(index))


@pytest.fixture
def load(tmp_path, places):
    return lambda **options: Folder(str(tmp_path / "p"), **options).build(places)


def test_subfolders_are_classes_and_pixels_are_exact(tmp_path, load):
    write(tmp_path / "p" / "cat", 4)
    write(tmp_path / "p" / "dog" / "young", 3)
    data = load()
    assert data.images.shape == (7, 4, 4, 1)
    assert data.classes == 2
    for label, count in ((0, 4), (1, 3)):
        found = sorted(data.images[data.labels == label].tolist())
        assert found == sorted(pixels((4, 4), index)[..., None].tolist() for index in range(count))


def test_folders_of_parts_become_the_parts(tmp_path, data_config):
    for part, first, count in (("train", 0, 8), ("val", 8, 3), ("test", 11, 2)):
        write(tmp_path / "p" / part / "cat", count, first=first)
    data = build(data_config("folder", path=str(tmp_path / "p")))
    for split, rows in ((data.train, range(8)), (data.validation, range(8, 11)), (data.test, range(11, 13))):
        expected = sorted(pixels((4, 4), index)[..., None].tolist() for index in rows)
        assert sorted(split.images.tolist()) == expected


def test_where_no_test_folder_is_the_own_validation_pictures_stay(tmp_path, data_config):
    write(tmp_path / "p" / "train", 20)
    write(tmp_path / "p" / "val", 3, first=20)
    data = build(data_config("folder", path=str(tmp_path / "p")))
    assert (len(data.train), len(data.test)) == (18, 2)
    expected = sorted(pixels((4, 4), index)[..., None].tolist() for index in range(20, 23))
    assert sorted(data.validation.images.tolist()) == expected


def test_one_colored_picture_makes_all_colored(tmp_path, load):
    write(tmp_path / "p", 2)
    write(tmp_path / "p", 1, (4, 4, 3), "color.png")
    assert load().images.shape == (3, 4, 4, 3)


def test_the_order_is_shuffled_and_the_same_each_time(tmp_path, load):
    write(tmp_path / "p" / "a", 20)
    write(tmp_path / "p" / "b", 20)
    first, second = load(), load()
    np.testing.assert_array_equal(first.images, second.images)
    assert 0 < first.labels[:20].sum() < 20


def test_a_new_picture_and_every_option_are_noticed_in_the_cache(tmp_path, data_config, places):
    write(tmp_path / "p", 10)
    config = data_config("folder", path=str(tmp_path / "p"))
    data = build(config)
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 1, 1)
    write(tmp_path / "p", 11)
    data = build(config)
    assert len(data.train) + len(data.validation) + len(data.test) == 11
    options = ({}, {"image_size": 2}, {"background": 0})
    assert len({Folder(str(tmp_path / "p"), **changes).cache_name(places) for changes in options}) == 3


def test_a_long_name_leaves_room_in_the_name_of_the_cache(tmp_path, data_config):
    folder = tmp_path / ("\N{GREEK SMALL LETTER PI}" * 120)
    write(folder, 4)
    assert len(build(data_config("folder", path=str(folder))).train) == 2


def test_what_is_not_loaded_and_what_is_there_twice_is_told_each_time(tmp_path, data_config, caplog):
    write(tmp_path / "p", 4)
    write(tmp_path / "p", 2, name="again{}.png")
    Image.fromarray(pixels((4, 4)).astype(np.uint16) * 256).save(tmp_path / "p" / "deep.png")
    (tmp_path / "p" / "notes.txt").touch()
    for _ in range(2):
        notes = build(data_config("folder", path=str(tmp_path / "p"))).notes
        assert notes == (
            f"left out of {tmp_path / 'p'}: 1 ending in .txt",
            "1 of 7 pictures have 16 bits per channel: the higher 8 are loaded",
            "3 of 7 pictures are copies of others, which may lie in different parts of the data",
        )
        assert caplog.messages == [f"data folder: {note}" for note in notes]
        caplog.clear()


def test_transparent_pixels_show_the_background_that_is_asked_for(tmp_path, load):
    (tmp_path / "p").mkdir()
    Image.new("RGBA", (2, 2), (9, 9, 9, 0)).save(tmp_path / "p" / "a.png")
    assert np.all(load().images == 255)
    assert np.all(load(background=7).images == 7)


def test_different_sizes_need_an_image_size(tmp_path, load):
    write(tmp_path / "p", 1, (4, 4))
    write(tmp_path / "p", 1, (4, 6), "wide.png")
    with pytest.raises(OptionError, match=r"image_size is 0; allowed: a side to scale to"):
        load()
    assert load(image_size=4).images.shape == (2, 4, 4, 1)


@pytest.mark.parametrize("name", ["", "absent", "empty", "file"])
def test_a_folder_without_pictures_is_named(tmp_path, data_config, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"config\.data\.folder\.path .* a folder with pictures"):
        build(data_config("folder", path=name and str(tmp_path / name)))


def test_a_broken_picture_is_named(tmp_path, load):
    write(tmp_path / "p", 2)
    path = tmp_path / "p" / "0.png"
    path.write_bytes(path.read_bytes()[:-36])
    with pytest.raises(OptionError, match=r"0\.png"):
        load()
