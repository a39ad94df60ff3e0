import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions import GroupedCTC, IndependentPixels, MaskGroup, PixelBernoulli
from ctc_jax.evaluation.multimodality import LATENTS_PER_CALL, Likely, draw_likely, sample_statistics
from ctc_jax.evaluation.sharpness import laplacian_variance
from tests import toys

BITS, LEVELS = 8, 255


class Constant(toys.Silent):
    """The same pixels whatever the latent: Bernoulli with logits `params`."""

    image_shape = (3, 3, 1)

    def generate(self, params, key, count, *, given=None, temperatures=None):
        return {}, IndependentPixels(PixelBernoulli(jnp.broadcast_to(params, (count, 3, 3, 1))))


class Modes(toys.Silent):
    """A 3x3 image whose mask is shared by all: components at `params` levels, equally probable, logistic scale 2."""

    image_shape = (3, 3, 1)

    def generate(self, params, key, count, *, given=None, temperatures=None):
        loc = jnp.broadcast_to(params[:, None], (count, 3, 3, len(params), 1))
        logits = jnp.zeros((count, 1, 1, len(params)))
        scale = jnp.full_like(loc, np.log(2.0))
        return {}, GroupedCTC(logits, loc, scale, bits=BITS, mask_group=MaskGroup(0))


def gap(likely):
    """Per dimension, with its standard error."""
    return likely.gap_nats.mean() / 9, likely.gap_nats.std() / np.sqrt(len(likely.gap_nats)) / 9


def test_gap_of_bernoulli_pixels_is_minus_entropy_minus_the_modes_log_probability():
    p = np.array([0.9, 0.7, 0.6, 0.3, 0.05, 0.55, 0.8, 0.2, 0.45])
    logits = jnp.asarray(np.log(p / (1 - p)), jnp.float32).reshape(3, 3, 1)
    likely = draw_likely(Constant(), logits, latents=512, samples=32, seed=0)
    # The mean rounds to the mode, whose log-probability is the sum of log max(p, 1 - p).
    exact = np.sum(p * np.log(p) + (1 - p) * np.log(1 - p)) - np.log(np.maximum(p, 1 - p)).sum()
    found, error = gap(likely)
    assert exact < 0
    assert abs(found - exact / 9) < 4.5 * error
    np.testing.assert_allclose(likely.mean, np.broadcast_to(p.reshape(1, 3, 3, 1), likely.mean.shape), rtol=1e-5)
    frequencies = likely.samples.mean(axis=(0, 1)).ravel()
    np.testing.assert_array_less(np.abs(frequencies - p), 4.5 * np.sqrt(p * (1 - p) / (512 * 32)))


def test_gap_of_two_far_modes_is_positive_and_in_closed_form():
    """Logistic log-density: entropy log s + 2 a value, mean between the modes at distance d: about d/s a value."""
    likely = draw_likely(Modes(), jnp.asarray([80.0, 160.0]), latents=64, samples=16, seed=0)
    found, error = gap(likely)
    # log f(mean) = -d/s - log s (tail of the logistic) with d = 40, s = 2; the mask's log 2 cancels save log 2 / 9:
    # the mean is equally far from both modes, so that its logsumexp over them gives back the log 2.
    exact = -(np.log(2.0) + 2.0) + (40 / 2 + np.log(2.0)) - np.log(2.0) / 9
    np.testing.assert_allclose(likely.mean, 120.0, atol=0.01)
    # Bins are half a scale wide: the discrete entropy and tail differ from the continuous ones by up to (1/s)^2 / 24.
    assert abs(found - exact) < 4.5 * error + 0.02


def test_gap_of_one_mode_is_negative():
    found, error = gap(draw_likely(Modes(), jnp.asarray([120.0]), latents=64, samples=16, seed=0))
    # -(log s + 2) for samples, -log(4 s) at the center: log 4 - 2.
    assert abs(found - (np.log(4.0) - 2.0)) < 4.5 * error + 0.02


def test_asking_for_more_latents_keeps_the_first(scaled, scaled_params):
    few, many = (
        draw_likely(scaled, scaled_params, latents=count, samples=3, seed=1) for count in (5, LATENTS_PER_CALL + 3)
    )
    for first, all_of_them in zip(few, many, strict=True):
        assert (len(first), len(all_of_them)) == (5, LATENTS_PER_CALL + 3)
        np.testing.assert_array_equal(first, all_of_them[:5])


def test_calls_draw_different_latents(scaled, scaled_params):
    likely = draw_likely(scaled, scaled_params, latents=2 * LATENTS_PER_CALL, samples=1, seed=1)
    assert len(np.unique(likely.mean[:, 0, 0, 0])) == 2 * LATENTS_PER_CALL


def test_samples_belong_to_the_mean_beside_them(scaled, scaled_params):
    likely = draw_likely(scaled, 8 * scaled_params, latents=20, samples=200, seed=2)
    p = likely.mean
    error = np.sqrt(p * (1 - p) / 200)
    assert likely.samples.shape == (20, 200, 4, 4, 1)
    # 320 frequencies; a binomial's tail is heavier than a normal's where p is near 0 or 1, hence the constant.
    np.testing.assert_array_less(np.abs(likely.samples.mean(axis=1) - p), 5 * error + 0.02)


def test_statistics_are_averages_over_all_samples_and_means():
    random = np.random.default_rng(0)
    likely = Likely(
        random.integers(0, 256, (2, 3, 4, 5, 2)), random.uniform(0, 255, (2, 4, 5, 2)), np.array([8.0, -2.0])
    )
    found = sample_statistics(likely, LEVELS)
    sharpness = [laplacian_variance(images, LEVELS).mean() for images in likely.samples]
    assert found == {
        "multimodality_gap_nats_per_dimension": pytest.approx(3.0 / 40),
        "sharpness/samples": pytest.approx(np.mean(sharpness)),
        "sharpness/means": pytest.approx(laplacian_variance(likely.mean, LEVELS).mean()),
    }
