import numpy as np
import pytest
from scipy import linalg

from ctc_jax.evaluation.frechet import Gaussian, fit_gaussian, frechet_distance


def covariance(seed, size, rank):
    factor = np.random.default_rng(seed).standard_normal((size, rank))
    return factor @ factor.T


def test_moments_are_numpys():
    features = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32) + 3
    found = fit_gaussian(features)
    np.testing.assert_allclose(found.mean, features.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-10)


def test_full_rank_equals_the_formula_with_scipys_square_root():
    one, other = covariance(1, 6, 9), covariance(2, 6, 9)
    means = np.random.default_rng(3).standard_normal((2, 6))
    exact = np.sum((means[0] - means[1]) ** 2) + np.trace(one + other - 2 * linalg.sqrtm(one @ other).real)
    assert frechet_distance(Gaussian(means[0], one), Gaussian(means[1], other)) == pytest.approx(exact, rel=1e-9)


def test_diagonal_covariances_compare_standard_deviations():
    variances = np.array([[4.0, 1.0, 0.0], [9.0, 0.0, 16.0]])
    one, other = (Gaussian(np.zeros(3), np.diag(row)) for row in variances)
    assert frechet_distance(one, other) == pytest.approx((2 - 3) ** 2 + 1 + 16)


def test_equal_covariances_leave_the_distance_of_the_means():
    for rank in (2, 7, 12):
        shared, means = covariance(rank, 7, rank), np.random.default_rng(4).standard_normal((2, 7))
        found = frechet_distance(Gaussian(means[0], shared), Gaussian(means[1], shared))
        # The square roots of rounding errors: 7 of about sqrt(1e-16) of the trace.
        np.testing.assert_allclose(found, np.sum((means[0] - means[1]) ** 2), atol=1e-6 * np.trace(shared))


@pytest.mark.parametrize(("rank", "other_rank"), [(2, 5), (5, 2), (3, 3), (0, 4), (4, 0)])
def test_singular_covariances_are_the_limit_of_regular_ones_and_the_order_does_not_matter(rank, other_rank):
    one, other = covariance(5, 5, rank), covariance(6, 5, other_rank)
    ridge = 1e-10 * np.eye(5)
    limit = np.trace(one + other) - 2 * np.trace(linalg.sqrtm((one + ridge) @ (other + ridge)).real)
    a, b = Gaussian(np.zeros(5), one), Gaussian(np.zeros(5), other)
    # A ridge e changes the root of an eigenvalue l * 0 by sqrt(l e), here of about 1e-4 in 5 directions.
    np.testing.assert_allclose(frechet_distance(a, b), limit, atol=5e-3)
    np.testing.assert_allclose(frechet_distance(a, b), frechet_distance(b, a), rtol=1e-7)


def test_fewer_images_than_features_have_a_distance_and_none_to_themselves():
    features = np.random.default_rng(7).standard_normal((2, 20, 60))
    one, other = (fit_gaussian(part) for part in features)
    scale = np.trace(one.covariance)
    assert frechet_distance(one, other) > 0.1 * scale
    assert frechet_distance(one, one) < 1e-6 * scale


def test_turning_both_sets_does_not_change_it():
    features = np.random.default_rng(8).standard_normal((2, 30, 8)) * np.arange(1, 9)
    turn = linalg.qr(np.random.default_rng(9).standard_normal((8, 8)))[0]
    plain, turned = ([fit_gaussian(part) for part in sets] for sets in (features, features @ turn))
    assert frechet_distance(*turned) == pytest.approx(frechet_distance(*plain), rel=1e-9)
