import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ctc_jax.evaluation import neighbors
from ctc_jax.evaluation.neighbors import NEIGHBORS, compare, manifold


def by_brute_force(real, generated):
    """Radii by sorting all distances in float64; the definitions word by word."""

    def radii(features):
        between = cdist(features, features)
        np.fill_diagonal(between, np.inf)
        return np.sort(between, axis=1)[:, NEIGHBORS - 1]

    between = cdist(real, generated)
    inside = between <= radii(real)[:, None]
    return {
        "precision": inside.any(axis=0).mean(),
        "recall": (between <= radii(generated)[None]).any(axis=1).mean(),
        "density": inside.sum(axis=0).mean() / NEIGHBORS,
        "coverage": inside.any(axis=1).mean(),
    }


def found(real, generated):
    return compare(manifold(real), manifold(generated))


@pytest.mark.parametrize(("real", "generated", "rows"), [(90, 70, 1000), (90, 70, 32), (40, 90, 7)])
def test_equals_brute_force_whatever_the_blocks(real, generated, rows, monkeypatch):
    monkeypatch.setattr(neighbors, "ROWS", rows)
    random = np.random.default_rng(0)
    one, other = random.standard_normal((real, 4)), 0.7 * random.standard_normal((generated, 4)) + 1.2
    exact = by_brute_force(one, other)
    assert all(0.05 < value < 0.95 for value in exact.values())
    assert found(one.astype(np.float32), other.astype(np.float32)) == pytest.approx(exact, abs=1e-12)


def test_features_far_from_zero_lose_nothing():
    """Squared norms of 1e8 beside squared distances of 1 would have no digits left in float32."""
    random = np.random.default_rng(1)
    one, other = random.standard_normal((80, 4)), random.standard_normal((60, 4)) + 0.5
    assert found(one + 1e4, other + 1e4) == pytest.approx(by_brute_force(one, other), abs=1e-12)


@pytest.mark.parametrize("apart", [30.0, 1e3, 1e5])
def test_clusters_far_apart_keep_the_balls_of_their_own_size(apart):
    random = np.random.default_rng(6)
    real, generated = (apart * np.repeat([[1.0], [-1.0], [0.5]], count, axis=0) for count in (30, 25))
    real, generated = real + random.standard_normal((90, 3)), generated + 1.2 * random.standard_normal((75, 3))
    exact = by_brute_force(real, generated)
    assert exact["density"] < 1.0
    assert found(real, generated) == pytest.approx(exact, abs=1e-12)


def test_equal_distances_count_as_inside_and_never_fall_by_rounding():
    """Binary pixels: distances are roots of few integers, so that many points lie on a sphere's surface."""
    random = np.random.default_rng(2)
    one, other = (random.integers(0, 2, (count, 24)).astype(np.float64) for count in (90, 70))
    assert found(one, other) == pytest.approx(by_brute_force(one, other), abs=1e-12)
    # A shift and a scale leave no integers to the arithmetic, and the figures as they were.
    assert found(0.1 * one + 0.3, 0.1 * other + 0.3) == pytest.approx(by_brute_force(one, other), abs=1e-12)


def test_repeated_images_have_balls_of_no_size_that_hold_their_repeats():
    same = np.repeat(np.random.default_rng(3).standard_normal((3, 5)), 10, axis=0)
    assert found(same, same[:12]) == pytest.approx(
        {"precision": 1.0, "recall": 2 / 3, "density": 10 / NEIGHBORS, "coverage": 2 / 3}
    )


def test_sets_of_one_law_are_precise_and_dense_and_the_density_is_one():
    random = np.random.default_rng(4)
    one, other = random.standard_normal((400, 2)), random.standard_normal((400, 2))
    numbers = found(one, other)
    assert min(numbers["precision"], numbers["recall"]) > 0.9
    # E coverage = 1 - (N - 1)...(N - k) / (2 N - 1)...(2 N - k), about 1 - 2^-k (Naeem et al. 2020, eq. 9).
    expected = 1 - np.prod([(400 - i) / (800 - i) for i in range(1, NEIGHBORS + 1)])
    assert abs(numbers["coverage"] - expected) < 4.5 * np.sqrt(expected * (1 - expected) / 400)
    # E density is 1; of 400 x 5 pairs, correlated within a ball, so that the error is that of 400 at most.
    assert abs(numbers["density"] - 1.0) < 4.5 / np.sqrt(400)


def test_a_single_mode_is_precise_and_without_recall():
    random = np.random.default_rng(5)
    modes = np.repeat([[0.0, 0.0], [50.0, 0.0]], 50, axis=0)
    real = modes + random.standard_normal((100, 2))
    numbers = found(real, 0.1 * random.standard_normal((60, 2)))
    assert numbers["precision"] == 1.0
    assert numbers["density"] > 1.0
    assert max(numbers["recall"], numbers["coverage"]) <= 0.5


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="5 images have no 5 neighbors"):
        manifold(np.zeros((5, 2)))
