import numpy as np
import pytest

from ctc_jax.data import REGISTRY, build
from ctc_jax.errors import ConfigError, UserError


@pytest.fixture
def config(tmp_path, data_config):
    """100 images of 2 x 2 levels, labeled by their row."""
    images = np.random.default_rng(0).integers(256, size=(100, 2, 2, 1), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(100))

    def make(**changes):
        return data_config(path=str(tmp_path / "a.npz"), **changes)

    return make, images


def test_splits_are_consecutive_and_disjoint(config):
    make, images = config
    data = build(make())
    labels = [split.labels.tolist() for split in (data.train, data.validation, data.test)]
    assert labels == [list(range(81)), list(range(81, 90)), list(range(90, 100))]
    for split in (data.train, data.validation, data.test):
        np.testing.assert_array_equal(split.images, images[split.labels])
    assert (data.bits, data.classes, data.binarization, data.image_shape) == (8, 100, "none", (2, 2, 1))


def test_the_number_of_validation_images_can_be_chosen(config):
    make, _ = config
    assert [len(build(make(validation=count)).validation) for count in (1, 89)] == [1, 89]


@pytest.mark.parametrize("bits", range(1, 9))
def test_low_bits_are_dropped(config, bits):
    make, images = config
    data = build(make(bits=bits))
    np.testing.assert_array_equal(data.train.images, images[:81] // 2 ** (8 - bits))
    assert data.bits == bits


@pytest.mark.parametrize(
    ("stored", "bits", "dropped"), [(4, 4, 0), (4, 2, 2), (4, 8, 0), (1, 1, 0), (1, 8, 0), (7, 1, 6)]
)
def test_low_bits_are_those_of_the_stored_pixels(data_config, tmp_path, stored, bits, dropped):
    images = np.random.default_rng(0).integers(2**stored, size=(100, 2, 2, 1), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images)
    data = build(data_config(path=str(tmp_path / "a.npz"), bits=bits))
    np.testing.assert_array_equal(data.train.images, images[:81] >> dropped)
    assert data.bits == min(stored, bits)


def test_few_levels_are_binarized_at_half_and_by_their_share(data_config, tmp_path):
    levels = np.tile(np.array([[0, 7], [8, 15]], np.uint8), (20_000, 1, 1))
    np.savez(tmp_path / "a.npz", images=levels[:3], test_images=levels)
    threshold = build(data_config(path=str(tmp_path / "a.npz"), binarization="threshold")).test.images
    np.testing.assert_array_equal(threshold[0, ..., 0], [[0, 0], [1, 1]])
    dynamic = build(data_config(path=str(tmp_path / "a.npz"), binarization="dynamic"))
    assert (dynamic.train.highest_grey, dynamic.bits) == (15, 1)
    error = 4.5 * np.sqrt(0.25 / 20_000)
    np.testing.assert_allclose(dynamic.test.images.mean(0)[..., 0], levels[0] / 15, atol=error)


@pytest.mark.parametrize("binarization", ["threshold", "dynamic"])
def test_binary_images_are_not_binarized_again(data_config, tmp_path, binarization):
    np.savez(tmp_path / "a.npz", images=np.arange(80).reshape(20, 2, 2) % 2 == 1)
    path = str(tmp_path / "a.npz")
    with pytest.raises(ConfigError, match="none: npz is binary as it is"):
        build(data_config(path=path, binarization=binarization))
    assert build(data_config(path=path)).binarization == "static"


def test_images_without_a_difference_are_refused_whatever_their_level(data_config, tmp_path):
    for level in (0, 200):
        np.savez(tmp_path / "a.npz", images=np.full((30, 2, 2), level, np.uint8))
        with pytest.raises(UserError, match=r"all pixels of all 30 images in .* are the same"):
            build(data_config(path=str(tmp_path / "a.npz")))


@pytest.mark.parametrize(("changes", "key"), [({"bits": 1}, "bits"), ({"binarization": "threshold"}, "binarization")])
def test_what_takes_every_difference_away_is_refused(data_config, tmp_path, changes, key):
    np.savez(tmp_path / "a.npz", images=np.arange(120, dtype=np.uint8).reshape(30, 2, 2))
    with pytest.raises(ConfigError, match=rf"config\.data\.{key} is .* a difference between the pixels"):
        build(data_config(path=str(tmp_path / "a.npz"), stored_bits=8, **changes))


def test_threshold_is_at_half(config):
    make, images = config
    data = build(make(binarization="threshold"))
    np.testing.assert_array_equal(data.test.images, images[90:] > 127.5)
    assert (data.bits, data.binarization) == (1, "threshold")


def test_dynamic_training_images_stay_grey_and_the_rest_is_drawn_once(config):
    make, images = config
    data, again = build(make(binarization="dynamic")), build(make(binarization="dynamic"))
    np.testing.assert_array_equal(data.train.images, images[:81])
    assert (data.bits, data.binarization, data.train.highest_grey) == (1, "dynamic", 255)
    for split, other in ((data.validation, again.validation), (data.test, again.test)):
        assert set(np.unique(split.images)) == {0, 1}
        np.testing.assert_array_equal(split.images, other.images)


def test_pixels_drawn_once_are_one_with_probability_level_over_255(data_config, tmp_path):
    levels = np.array([[0, 1], [127, 255]], np.uint8)
    np.savez(tmp_path / "a.npz", images=levels[None].repeat(3, 0), test_images=levels[None].repeat(10_000, 0))
    images = build(data_config(path=str(tmp_path / "a.npz"), binarization="dynamic")).test.images
    probability = levels / 255
    error = np.sqrt(probability * (1 - probability) / 10_000)
    assert np.all(abs(images.mean(0)[..., 0] - probability) <= 4 * error)


@pytest.mark.parametrize("binarization", ["none", "dynamic"])
def test_training_images_are_varied_as_they_are_seen_and_the_rest_once(config, binarization):
    make, images = config
    changes = {"canvas": 5, "objects": 2, "contrast": 0.5, "brightness": 0.5, "binarization": binarization}
    data, again = build(make(**changes)), build(make(**changes))
    np.testing.assert_array_equal(data.train.images, images[:81])
    assert data.image_shape == (5, 5, 1)
    assert data.train.draw(np.arange(3), np.random.default_rng(0)).shape == (3, 5, 5, 1)
    for split, other in ((data.validation, again.validation), (data.test, again.test)):
        assert split.images.shape[1:] == (5, 5, 1)
        assert split.variation is None
        np.testing.assert_array_equal(split.images, other.images)
        assert split.corners.shape == (len(split), 2, 2)
        assert len(np.unique(split.images)) == 2 or binarization == "none"
    assert data.mean_image.shape == (5, 5, 1)
    assert data.fingerprint == again.fingerprint != build(make(**changes | {"objects": 3})).fingerprint


def test_the_mean_image_is_that_of_varied_images(config):
    data = build(config[0](contrast=0.9, brightness=1.0))
    seen = [data.train.draw(np.arange(81), np.random.default_rng(seed)) / 255 for seed in range(50)]
    np.testing.assert_allclose(data.mean_image, np.mean(seen, axis=(0, 1)), atol=4.5 * np.std(seen) / np.sqrt(81))


def test_images_shrink_to_the_means_of_squares(data_config, tmp_path):
    images = np.random.default_rng(0).integers(256, size=(100, 4, 6, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images)
    data = build(data_config(path=str(tmp_path / "a.npz"), shrink=2))
    expected = [images[:81, down : down + 2, 2:4].mean(axis=(1, 2)) for down in (0, 2)]
    np.testing.assert_allclose(data.train.images[:, :, 1].swapaxes(0, 1), expected, atol=0.5)


def test_shapes_know_their_density_until_bits_are_dropped(data_config, monkeypatch):
    monkeypatch.setattr("ctc_jax.data.shapes.TRAIN", 30)
    monkeypatch.setattr("ctc_jax.data.shapes.VALIDATION", 4)
    monkeypatch.setattr("ctc_jax.data.shapes.TEST", 5)
    data = build(data_config(name="shapes"))
    assert (len(data.train), len(data.validation), len(data.test), data.classes) == (30, 4, 5, 8)
    assert np.all(np.isfinite(data.log_prob(data.test.images, data.test.labels)))
    assert build(data_config(name="shapes", bits=5)).log_prob is None
    assert build(data_config(name="shapes", contrast=0.5)).log_prob is None


def test_an_unknown_name_lists_the_registry(data_config):
    with pytest.raises(ConfigError, match=r"data\.name is 'cifar'") as caught:
        build(data_config(name="cifar"))
    assert ", ".join(sorted(REGISTRY)) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 0}, r"config\.data\.bits is 0; allowed: a whole number, 1 or more, at most 8"),
        ({"bits": 9}, r"config\.data\.bits is 9"),
        ({"bits": 2.5}, r"config\.data\.bits is 2\.5"),
        ({"bits": 4, "binarization": "threshold"}, "1 or 8 when data.binarization is threshold"),
        ({"binarization": "dynamc"}, r"did you mean dynamic"),
        ({"validation": 90}, r"config\.data\.validation is 90; allowed: -1, or 1 to 89"),
        ({"validation": 0}, r"config\.data\.validation is 0; allowed: -1, or 1 to 89"),
        ({"validation": -2}, r"config\.data\.validation is -2"),
        ({"device_budget_mib": -1}, r"config\.data\.device_budget_mib is -1"),
        ({"objects": 2}, r"config\.data\.objects is 2; allowed: 1 without data.canvas"),
        ({"distractors": 2}, r"config\.data\.distractors is 2; allowed: 0 without data.canvas"),
        ({"brightness": 0.5}, r"config\.data\.brightness is 0\.5; allowed: 0 without data.contrast"),
        ({"canvas": 1}, r"config\.data\.canvas is 1; allowed: 0, or 2 or more"),
        ({"contrast": 0.5, "bits": 1}, r"config\.data\.contrast is 0\.5; allowed: 0 with binary pixels"),
        ({"shrink": 3}, r"config\.data\.shrink is 3; allowed: a divisor of height and width"),
        ({"stored_bits": 9}, r"config\.data\.npz\.stored_bits is 9"),
    ],
)
def test_a_value_that_does_not_fit_is_named(config, changes, message):
    make, _ = config
    with pytest.raises(ConfigError, match=message):
        build(make(**changes))


def test_too_few_images_are_refused(data_config, tmp_path):
    np.savez(tmp_path / "a.npz", images=np.arange(248, 256, dtype=np.uint8).reshape(2, 2, 2))
    with pytest.raises(UserError, match=r"at least 3 training images; .*a\.npz has 2"):
        build(data_config(path=str(tmp_path / "a.npz")))
