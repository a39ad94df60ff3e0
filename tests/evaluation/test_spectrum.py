import numpy as np
import pytest
from scipy import ndimage

from ctc_jax.evaluation.spectrum import radial_spectrum, spectrum_distance_decades


@pytest.mark.parametrize(("shape", "rings"), [((4000, 12, 12, 1), 6), ((3000, 9, 14, 2), 4)])
def test_white_noise_has_its_variance_at_every_frequency(shape, rings):
    images = np.random.default_rng(0).normal(0.5, 0.2, shape) * 255
    spectrum = radial_spectrum(images, 255)
    np.testing.assert_allclose(spectrum.frequency, np.arange(1, rings + 1) / min(shape[1:3]))
    # The mean over channels has the variance over their number. The first ring loses what the mean takes with it.
    expected = 0.04 / shape[-1]
    # A ring has at least 8 entries; powers of neighbors are correlated, of images they are not: std / mean is 1.
    np.testing.assert_allclose(spectrum.power[1:], expected, rtol=4.5 / np.sqrt(shape[0]))
    assert 0.5 * expected < spectrum.power[0] < expected


@pytest.mark.parametrize("cycles", [2, 5, 7])
def test_a_wave_has_its_power_at_its_own_frequency(cycles):
    row = 128 + 100 * np.cos(2 * np.pi * cycles * np.arange(16) / 16 + 0.3)
    for wave in (np.tile(row, (16, 1)), np.tile(row, (16, 1)).T):
        spectrum = radial_spectrum(wave[None, :, :, None], 255)
        assert np.argmax(spectrum.power) == cycles - 1


def test_it_is_the_mean_over_pictures_and_does_not_see_brightness():
    images = np.random.default_rng(1).integers(0, 200, (1003, 6, 6, 1))  # more than are transformed at a time
    alone = [radial_spectrum(image[None], 255).power for image in images]
    np.testing.assert_allclose(radial_spectrum(images, 255).power, np.mean(alone, axis=0), rtol=1e-10)
    np.testing.assert_allclose(radial_spectrum(images + 50, 255).power, np.mean(alone, axis=0), rtol=1e-10)


def test_a_slope_from_edge_to_edge_adds_little_at_high_frequencies():
    """Its jump at the border, which has a power of 1 / frequency^2 without a window."""
    slope = np.tile(np.linspace(0, 255, 32), (32, 1))[None, :, :, None]
    power = radial_spectrum(slope, 255).power
    assert power[-1] < 1e-5 * power[0]


def test_a_factor_is_its_decades_and_blurring_is_some():
    images = np.random.default_rng(2).uniform(0, 1, (50, 16, 16, 1))
    spectrum = radial_spectrum(images, 1)
    # A tenth of the contrast has a hundredth of the power: two decades, at every frequency.
    faint = radial_spectrum(images / 10, 1)
    assert spectrum_distance_decades(spectrum, faint) == pytest.approx(2.0)
    assert spectrum_distance_decades(faint, spectrum) == pytest.approx(2.0)
    assert spectrum_distance_decades(spectrum, spectrum) == 0.0
    blurred = radial_spectrum(ndimage.gaussian_filter(images, (0, 1, 1, 0)), 1)
    assert spectrum_distance_decades(spectrum, blurred) > 1.0


def test_pictures_of_one_level_are_at_a_finite_distance():
    flat = radial_spectrum(np.full((3, 8, 8, 1), 7), 255)
    noise = radial_spectrum(np.random.default_rng(3).integers(0, 256, (3, 8, 8, 1)), 255)
    assert 8 < spectrum_distance_decades(flat, noise) < 13
