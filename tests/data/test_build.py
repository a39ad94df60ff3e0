import numpy as np
import pytest

from ctc_jax.data import REGISTRY, build
from ctc_jax.errors import ConfigError


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
    assert [len(build(make(validation=count)).validation) for count in (0, 1, 89)] == [0, 1, 89]


@pytest.mark.parametrize("bits", range(1, 9))
def test_low_bits_are_dropped(config, bits):
    make, images = config
    data = build(make(bits=bits))
    np.testing.assert_array_equal(data.train.images, images[:81] // 2 ** (8 - bits))
    assert data.bits == bits


def test_threshold_is_at_half(config):
    make, images = config
    data = build(make(binarization="threshold"))
    np.testing.assert_array_equal(data.test.images, images[90:] > 127.5)
    assert (data.bits, data.binarization) == (1, "threshold")


def test_dynamic_training_images_stay_grey_and_the_rest_is_drawn_once(config):
    make, images = config
    data, again = build(make(binarization="dynamic")), build(make(binarization="dynamic"))
    np.testing.assert_array_equal(data.train.images, images[:81])
    assert (data.bits, data.binarization) == (1, "dynamic")
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


def test_shapes_know_their_density_until_bits_are_dropped(data_config, monkeypatch):
    monkeypatch.setattr("ctc_jax.data.shapes.TRAIN", 30)
    monkeypatch.setattr("ctc_jax.data.shapes.VALIDATION", 4)
    monkeypatch.setattr("ctc_jax.data.shapes.TEST", 5)
    data = build(data_config(name="shapes"))
    assert (len(data.train), len(data.validation), len(data.test), data.classes) == (30, 4, 5, 8)
    assert np.all(np.isfinite(data.log_prob(data.test.images, data.test.labels)))
    assert build(data_config(name="shapes", bits=5)).log_prob is None


def test_an_unknown_name_lists_the_registry(data_config):
    with pytest.raises(ConfigError, match=r"data\.name is 'cifar'") as caught:
        build(data_config(name="cifar"))
    assert ", ".join(sorted(REGISTRY)) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 0}, r"config\.data\.bits is 0; allowed: 1 to 8"),
        ({"bits": 9}, r"config\.data\.bits is 9"),
        ({"bits": 2.5}, r"config\.data\.bits is 2\.5"),
        ({"bits": 4, "binarization": "threshold"}, "1 or 8 when data.binarization is threshold"),
        ({"binarization": "dynamc"}, r"did you mean dynamic"),
        ({"validation": 90}, r"config\.data\.validation is 90; allowed: -1, or 0 to 89"),
        ({"validation": -2}, r"config\.data\.validation is -2"),
    ],
)
def test_a_value_that_does_not_fit_is_named(config, changes, message):
    make, _ = config
    with pytest.raises(ConfigError, match=message):
        build(make(**changes))


def test_too_few_images_are_refused(data_config, tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(ConfigError, match="at least 3 images; it has 2"):
        build(data_config(path=str(tmp_path / "a.npz")))
