import numpy as np
import pytest
from scipy import linalg

from ctc_jax.data import Dataset, Split
from ctc_jax.evaluation.code_draws import draw_codes
from ctc_jax.evaluation.diversity import diversity_within_code
from ctc_jax.evaluation.neighbors import compare, manifold
from ctc_jax.evaluation.options import EvaluateOptions
from ctc_jax.evaluation.quality import build_reference, sample_quality
from ctc_jax.evaluation.spectrum import radial_spectrum, spectrum_distance_decades

SAMPLES = 60
MEASURES = ("frechet", "precision", "recall", "density", "coverage")


def options(**changes):
    return EvaluateOptions(**{"quality_samples": SAMPLES, "features": "pixels,random", **changes})


def drawn_split(model, params, count, seed):
    """Data of which the model is the truth."""
    samples = draw_codes(model, params, codes=count, seed=seed).samples[0]
    return Split(samples, np.zeros(count, np.int32))


@pytest.fixture(scope="module")
def dataset(scaled, scaled_params):
    train, test = (drawn_split(scaled, 4 * scaled_params, count, seed) for count, seed in ((90, 1), (70, 2)))
    return Dataset("drawn", train, test, test, bits=1, classes=1, binarization="static")


@pytest.fixture(scope="module")
def found(scaled, scaled_params, dataset, tmp_path_factory):
    reference = build_reference(options(), dataset, tmp_path_factory.mktemp("data"))
    given = {"samples": SAMPLES, "reference": reference, "levels": 1, "seed": 0}
    return sample_quality(scaled, 4 * scaled_params, dataset.test, **given)


def test_every_promised_number_is_there_and_finite(found):
    sets, spaces = ("samples", "means", "data"), ("pixels", "random")
    expected = {f"{measure}/{space}/{which}" for measure in MEASURES for space in spaces for which in sets}
    expected |= {f"diversity/{space}/{which}" for space in spaces for which in ("samples", "means")}
    expected |= {f"spectrum_distance_decades/{which}" for which in sets}
    assert set(found) == {*expected, "quality_samples"}
    assert np.isfinite(list(found.values())).all()


def test_figures_are_of_the_first_sample_of_each_code_against_images_of_the_split(
    found, scaled, scaled_params, dataset
):
    drawn = draw_codes(scaled, 4 * scaled_params, codes=SAMPLES, seed=0)
    real = dataset.test.images[[row * 70 // SAMPLES for row in range(SAMPLES)]]
    training = dataset.train.images[[row * 90 // SAMPLES for row in range(SAMPLES)]]
    flat_real = real.reshape(SAMPLES, -1).astype(np.float64)
    for which, images in (("samples", drawn.samples[0]), ("means", drawn.means[0]), ("data", training)):
        flat = images.reshape(SAMPLES, -1).astype(np.float64)
        covariances = np.cov(flat, rowvar=False), np.cov(flat_real, rowvar=False)
        root = linalg.sqrtm(covariances[0] @ covariances[1]).real
        exact = np.sum((flat.mean(0) - flat_real.mean(0)) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)
        # The means of one latent number span few directions: square roots of rounding errors stay.
        assert found[f"frechet/pixels/{which}"] == pytest.approx(exact, rel=1e-4, abs=1e-4)
        spectra = radial_spectrum(real, 1), radial_spectrum(images, 1)
        assert found[f"spectrum_distance_decades/{which}"] == pytest.approx(spectrum_distance_decades(*spectra))
        numbers = compare(manifold(flat_real), manifold(flat))
        assert {name: found[f"{name}/pixels/{which}"] for name in numbers} == pytest.approx(numbers, abs=1e-9)
    pairs = drawn.samples.reshape(2, SAMPLES, -1).astype(np.float64)
    assert found["diversity/pixels/samples"] == pytest.approx(diversity_within_code(*pairs), rel=1e-5)


def test_a_code_decides_its_mean_and_not_its_sample(found):
    for space in ("pixels", "random"):
        assert found[f"diversity/{space}/means"] == 0.0
        assert 0.05 < found[f"diversity/{space}/samples"] < 0.95


def test_a_true_model_is_as_near_as_training_images_and_its_means_are_blurred(scaled, scaled_params, tmp_path):
    count = 1000
    train, test = (drawn_split(scaled, 4 * scaled_params, count, seed) for seed in (3, 4))
    dataset = Dataset("drawn", train, test, test, bits=1, classes=1, binarization="static")
    reference = build_reference(options(quality_samples=count, features="random"), dataset, tmp_path)
    given = {"samples": count, "reference": reference, "levels": 1, "seed": 0}
    numbers = sample_quality(scaled, 4 * scaled_params, test, **given)
    for name in ("precision", "recall", "coverage"):
        # Two shares of 1000 images, whose errors are correlated by their neighbors.
        difference = numbers[f"{name}/random/samples"] - numbers[f"{name}/random/data"]
        assert abs(difference) < 4.5 * 2 * np.sqrt(2 * 0.25 / count)
    assert numbers["frechet/random/samples"] < 0.2 * numbers["frechet/random/means"]
    assert numbers["spectrum_distance_decades/samples"] < 0.2 * numbers["spectrum_distance_decades/means"]


def test_training_images_that_are_binarized_anew_are_drawn_once_and_levels_of_the_model(dataset, tmp_path):
    grey = np.full((90, 4, 4, 1), 100, np.uint8)
    dynamic = Dataset(
        "grey", Split(grey, np.zeros(90, np.int32), 255), dataset.test, dataset.test, 1, 1, binarization="dynamic"
    )
    one, other = (build_reference(options(), dynamic, tmp_path).training for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert set(np.unique(one)) == {0, 1}
    share = 100 / 255
    assert abs(one.mean() - share) < 4.5 * np.sqrt(share * (1 - share) / one.size)


def test_off_needs_nothing(dataset, tmp_path):
    assert build_reference(options(quality_samples=0, features="classifier"), dataset, tmp_path) is None
