import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import chisquare, norm

from ctc_jax.data import shapes
from ctc_jax.data.shapes import ShapesDensity, density, drawings, log_mass


def small(noise_outside):
    """Two classes with two shifts on two pixels: all 65536 images can be listed."""
    templates = np.array([[[[1, 0]], [[0, 1]]], [[[1, 1]], [[0, 0]]]], bool)
    return ShapesDensity(templates, contrasts=(60, 200), noise=8.0, noise_outside=noise_outside)


def every_image():
    return np.stack(np.divmod(np.arange(65_536), 256), axis=-1).astype(np.uint8).reshape(-1, 1, 2, 1)


@pytest.mark.parametrize(("mean", "noise"), [(0.0, 4.0), (64.0, 4.0), (208.0, 4.0), (255.0, 0.1), (128.0, 90.0)])
def test_mass_of_levels_sums_to_one(mean, noise):
    np.testing.assert_allclose(logsumexp(log_mass(mean, noise)), 0.0, atol=1e-13)


def test_mass_is_the_integral_over_the_bin():
    levels = np.arange(44, 85)
    expected = norm.cdf(levels + 0.5, 64, 4) - norm.cdf(levels - 0.5, 64, 4)
    np.testing.assert_allclose(np.exp(log_mass(64.0, 4.0)[levels]), expected, rtol=1e-9)


def test_first_and_last_bins_take_the_tails():
    np.testing.assert_allclose(log_mass(4.0, 4.0)[0], norm.logcdf(0.5, 4, 4), rtol=1e-12)
    np.testing.assert_allclose(log_mass(250.0, 4.0)[255], norm.logsf(254.5, 250, 4), rtol=1e-12)


@pytest.mark.parametrize("noise_outside", [False, True])
def test_density_sums_to_one_for_each_class_and_over_classes(noise_outside):
    truth, images = small(noise_outside), every_image()
    for label in range(2):
        total = logsumexp(truth.log_prob(images, np.full(len(images), label)))
        np.testing.assert_allclose(total, 0.0, atol=1e-12)
    np.testing.assert_allclose(logsumexp(truth.log_prob(images)), 0.0, atol=1e-12)


@pytest.mark.parametrize("noise_outside", [False, True])
def test_samples_follow_the_density(noise_outside):
    truth = small(noise_outside)
    count = 200_000
    images, labels = truth.sample(np.random.default_rng(0), count)
    probability = np.exp(truth.log_prob(every_image(), np.zeros(65_536, np.int32))).reshape(256, 256)
    bins = np.array([0, 1, 5, 56, 60, 64, 100, 196, 200, 204])
    expected = np.add.reduceat(np.add.reduceat(probability, bins, 0), bins, 1).ravel() * count / 2
    drawn = images[labels == 0].reshape(-1, 2)
    observed = np.zeros((256, 256))
    np.add.at(observed, (drawn[:, 0], drawn[:, 1]), 1)
    observed = np.add.reduceat(np.add.reduceat(observed, bins, 0), bins, 1).ravel()
    assert observed[expected == 0].sum() == 0
    likely = expected > 5
    observed, expected = observed[likely], expected[likely]
    assert chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-4
    assert abs((labels == 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(count)


def test_entropy_is_that_of_the_choices_and_of_the_noise():
    # Shifts and contrasts are told apart by any image, so the mixture's entropy given the class is log 64 plus the
    # noise of the pixels inside; the last bins matter to no contrast.
    truth = density()
    images, labels = truth.sample(np.random.default_rng(0), 2_000)
    log_prob = truth.log_prob(images, labels)
    noise = 0.5 * np.log(2 * np.pi * np.e * (4.0**2 + 1 / 12))
    expected = np.log(16 * 4) + drawings().sum((1, 2)).mean() * noise
    assert abs(-log_prob.mean() - expected) < 4 * log_prob.std() / np.sqrt(len(images))


def test_an_image_with_light_outside_the_shape_is_impossible():
    truth = density()
    images, labels = truth.sample(np.random.default_rng(0), 3)
    images[:, 0, 0] = 1
    images[:, -1, -1] = 1
    assert np.all(truth.log_prob(images, labels) == -np.inf)


def test_shapes_fit_every_shift_and_differ():
    truth = density()
    assert truth.templates.shape == (8, 16, 16, 16)
    assert len(np.unique(truth.templates.reshape(128, -1), axis=0)) == 128
    np.testing.assert_array_equal(truth.templates.sum((2, 3)), np.tile(drawings().sum((1, 2))[:, None], (1, 16)))


def test_dataset_is_the_same_each_time_and_its_parts_differ(monkeypatch, places):
    monkeypatch.setattr(shapes, "TRAIN", 60)
    monkeypatch.setattr(shapes, "VALIDATION", 4)
    monkeypatch.setattr(shapes, "TEST", 64)
    first, second = shapes.Shapes().build(places), shapes.Shapes().build(places)
    np.testing.assert_array_equal(first.images, second.images)
    assert np.any(first.images != first.test_images)
    assert np.all(np.isfinite(first.log_prob(first.test_images, first.test_labels)))
