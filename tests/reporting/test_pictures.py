import numpy as np
import pytest
from PIL import Image

from ctc_jax.reporting.pictures import BACKGROUND, LABEL_HEIGHT, grid, mean_and_samples, pair_grid, save_gif, save_png


def numbered(count, side=4, channels=1):
    """Image i is level 10 (i + 1) everywhere."""
    return np.full((count, side, side, channels), 10, np.uint8) * np.arange(1, count + 1, dtype=np.uint8).reshape(
        -1, 1, 1, 1
    )


def test_grid_places_images_in_reading_order_and_leaves_gaps():
    picture = grid(numbered(5), 3, scale=2, gap=3)
    assert picture.shape == (3 + 2 * (8 + 3), 3 + 3 * (8 + 3), 3)
    for index in range(5):
        row, column = divmod(index, 3)
        cell = picture[3 + 11 * row : 11 + 11 * row, 3 + 11 * column : 11 + 11 * column]
        assert (cell == 10 * (index + 1)).all()
    empty_cell_and_gaps = np.concatenate([picture[14:, 25:].reshape(-1, 3), picture[:3].reshape(-1, 3)])
    assert (empty_cell_and_gaps == BACKGROUND).all()


def test_pixels_are_enlarged_by_repetition():
    image = np.arange(4, dtype=np.int32).reshape(1, 2, 2, 1)
    picture = grid(image, 1, levels=3, scale=5, gap=0)
    np.testing.assert_array_equal(picture[..., 0], np.kron(85 * image[0, :, :, 0], np.ones((5, 5), np.int32)))


def test_small_images_are_enlarged_and_large_ones_are_not():
    assert grid(numbered(1, side=16), 1, gap=0).shape == (96, 96, 3)
    assert grid(numbered(1, side=128), 1, gap=0).shape == (128, 128, 3)


def test_color_is_kept():
    image = np.array([[[[255, 128, 3]]]], np.uint8)
    assert grid(image, 1, scale=1, gap=0).tolist() == [[[255, 128, 3]]]


@pytest.mark.parametrize(("opacity", "expected"), [(255, (255, 128, 3)), (0, BACKGROUND)])
def test_fourth_channel_is_opacity(opacity, expected):
    image = np.array([[[[255, 128, 3, opacity]]]], np.uint8)
    assert tuple(grid(image, 1, scale=1, gap=0)[0, 0]) == expected


def test_two_channels_are_gray_and_opacity():
    image = np.array([[[[200, 255]]], [[[200, 0]]]], np.uint8)
    assert grid(image, 2, scale=1, gap=0).tolist() == [[[200, 200, 200], list(BACKGROUND)]]


def test_five_channels_are_refused():
    with pytest.raises(ValueError, match="5 channels"):
        grid(numbered(1, channels=5), 1)


def test_levels_outside_the_range_are_clipped():
    image = np.array([-3.0, 300.0]).reshape(1, 1, 2, 1)
    assert grid(image, 1, scale=1, gap=0)[0, :, 0].tolist() == [0, 255]


def test_reconstruction_stands_right_of_its_input():
    inputs, reconstructions = numbered(3), 100 + numbered(3)
    picture = pair_grid(inputs, reconstructions, 2, scale=1, gap=2)
    top = LABEL_HEIGHT
    # Columns: 2 | input 4 | 2 | reconstruction 4 | 16 | input 4 | 2 | reconstruction 4 | 2
    assert picture[top, [2, 8, 28, 34], 0].tolist() == [10, 110, 20, 120]
    assert picture[top + 6, [2, 8], 0].tolist() == [30, 130]
    assert picture.shape[1] == 40
    assert (picture[top:, 12:28] == BACKGROUND).all()


def test_mean_stands_left_and_samples_of_the_same_latent_right():
    mean = np.array([10.0, 20.0]).reshape(2, 1, 1, 1) * np.ones((2, 4, 4, 1))
    samples = np.stack([numbered(3) + 100, numbered(3) + 200])
    picture = mean_and_samples(mean, samples, scale=1, gap=2)
    top = LABEL_HEIGHT
    # Columns: 2 | mean 4 | 16 | sample 4 | 2 | sample 4 | 2 | sample 4 | 2
    assert picture[top, [2, 22, 28, 34], 0].tolist() == [10, 110, 120, 130]
    assert picture[top + 6, [2, 22, 28, 34], 0].tolist() == [20, 210, 220, 230]
    assert (picture[top:, 6:22] == BACKGROUND).all()


def test_labels_stand_above_their_columns_only():
    side = 96
    labeled = mean_and_samples(numbered(1, side), numbered(2, side)[None], scale=1)
    dark = (labeled[:LABEL_HEIGHT] < 100).all(axis=-1).any(axis=0)
    assert dark[2:40].any()  # "mean"
    assert not dark[60:114].any()
    assert dark[114:170].any()  # "samples"
    assert not dark[190:].any()


def test_saved_picture_reads_back_and_leaves_no_other_file(tmp_path):
    picture = grid(np.random.default_rng(0).integers(0, 256, (4, 5, 5, 3)), 2)
    save_png(tmp_path / "samples" / "a.png", picture)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "samples" / "a.png")), picture)
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["a.png"]


def test_an_animation_shows_its_frames_in_order_and_rests_on_the_last(tmp_path):
    frames = [grid(np.full((1, 4, 4, 1), level), 1) for level in (0, 100, 255)]
    save_gif(tmp_path / "samples" / "a.gif", frames, seconds=0.4, rest=1.5)
    with Image.open(tmp_path / "samples" / "a.gif") as found:
        assert (found.n_frames, found.info["loop"]) == (3, 0)
        for index, (frame, shown) in enumerate(zip(frames, (200, 200, 1500), strict=True)):
            found.seek(index)
            assert found.info["duration"] == shown
            np.testing.assert_array_equal(np.asarray(found.convert("RGB")), frame)
