import numpy as np
import pytest
from scipy.spatial.distance import pdist

from ctc_jax.evaluation.diversity import diversity_within_code


def test_it_is_the_share_of_the_variance_that_the_code_leaves_open():
    """Image = code + what is drawn below it: var(below) / (var(code) + var(below)), feature by feature in the sums."""
    random = np.random.default_rng(0)
    count, below = 20_000, np.array([0.5, 1.0, 0.2])
    code = random.standard_normal((count, 3))
    first, second = (code + np.sqrt(below) * random.standard_normal((count, 3)) for _ in range(2))
    # A mean of squares of normals has the relative error sqrt(2 / count).
    expected = below.sum() / (3 + below.sum())
    assert abs(diversity_within_code(first, second) - expected) < 4.5 * np.sqrt(2 / count) * expected * 2


def test_the_distance_of_different_codes_is_that_of_all_pairs():
    random = np.random.default_rng(1)
    first, second = random.standard_normal((2, 30, 4)) + 5
    between = (np.mean(pdist(first) ** 2) + np.mean(pdist(second) ** 2)) / 2
    within = np.mean(np.sum((first - second) ** 2, axis=1))
    assert diversity_within_code(first, second) == pytest.approx(within / between, rel=1e-12)


def test_a_code_that_decides_everything_has_none_and_one_that_decides_nothing_has_all():
    images = np.random.default_rng(2).standard_normal((5000, 2)).astype(np.float32)
    assert diversity_within_code(images, images) == 0.0
    others = np.random.default_rng(3).standard_normal((5000, 2)).astype(np.float32)
    assert abs(diversity_within_code(images, others) - 1.0) < 4.5 * np.sqrt(2 / 5000) * 2


def test_a_model_of_one_image_has_none():
    images = np.ones((4, 3), np.float32)
    assert diversity_within_code(images, images) == 0.0
