import numpy as np
import pytest

from ctc_jax.evaluation.copying import BLOCK, PAIRS, Nearest, compare_copies, copying_picture, nearest_training
from ctc_jax.evaluation.features import FeatureSpace

PIXELS = FeatureSpace(lambda images: images.reshape(len(images), -1))


def noise(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 1), np.uint8)


def test_the_nearest_of_all_training_images_is_found_in_any_block():
    corpus, images = noise(2 * BLOCK + 7, 0), noise(20, 1)
    found = nearest_training(images, corpus, PIXELS, 255)
    scaled = [of.reshape(len(of), -1) / 255.0 for of in (images, corpus)]
    apart = np.linalg.norm(scaled[0][:, None] - scaled[1][None], axis=-1)
    np.testing.assert_array_equal(found.row, apart.argmin(axis=1))
    np.testing.assert_allclose(found.distance, apart.min(axis=1), rtol=1e-5)


def test_copies_are_told_from_images_of_the_same_law():
    corpus, unseen = noise(300, 0), nearest_training(noise(400, 1), noise(300, 0), PIXELS, 255)
    fresh = compare_copies(nearest_training(noise(400, 2), corpus, PIXELS, 255), unseen)
    # The variance of the share of two sets of one law is (n + m + 1) / (12 n m).
    assert abs(fresh["copying_nearer_share"] - 0.5) < 4 * np.sqrt(801 / 12 / 400**2)
    assert fresh["copying_distance_ratio"] == pytest.approx(1.0, abs=0.05)
    copies = compare_copies(nearest_training(corpus[::2], corpus, PIXELS, 255), unseen)
    assert copies["copying_nearer_share"] == 1.0
    assert copies["copying_distance_ratio"] == pytest.approx(0.0, abs=1e-4)


def test_ties_count_half():
    of = Nearest(np.ones(4), np.zeros(4, np.int64))
    assert compare_copies(of, of)["copying_nearer_share"] == 0.5


def test_the_picture_has_the_nearest_samples_beside_their_training_images():
    corpus, samples = np.zeros((1, 4, 4, 1), np.uint8), np.full((40, 4, 4, 1), 200, np.uint8)
    samples[-1] = 8
    found = nearest_training(samples, corpus, PIXELS, 255)
    picture = copying_picture(samples, found, corpus, 255)
    cells = picture[60, [50, 150], 0]  # within the first sample and its neighbor
    np.testing.assert_array_equal(cells, [8, 0])
    assert picture.shape[0] == 20 + PAIRS // 4 * 98
