import numpy as np
import pytest

from benchmarks.gradients import statistics
from benchmarks.gradients.statistics import Bias, Draws


def draws_of(samples, blocks):
    parts = np.split(samples, blocks)
    means = np.stack([part.mean(axis=0) for part in parts])
    scatter = sum(((part - mean) ** 2).sum() for part, mean in zip(parts, means, strict=True))
    return Draws(means, float(scatter), 0.0, len(samples))


def test_variance_is_that_of_all_draws_however_they_were_blocked():
    samples = np.random.default_rng(0).normal(size=(24, 5)) * np.arange(1, 6)
    expected = samples.var(axis=0, ddof=1).mean()
    assert [draws_of(samples, blocks).variance for blocks in (3, 8)] == pytest.approx([expected, expected])


def test_cosine_is_the_mean_over_draws():
    assert Draws(np.ones((2, 1)), 0.0, 3.0, 4).cosine == 0.75


def test_squared_length_is_the_mean_over_pairs_of_different_blocks():
    blocks = np.array([[1.0, 0.0], [1.0, 2.0], [3.0, -1.0]])
    # <a, b> = 1, <a, c> = 3, <b, c> = 1.
    assert statistics.squared_length(blocks) == pytest.approx(5.0 / 3.0)


def test_bias_of_three_blocks_by_hand():
    # Differences from the exact (2, 0): (1, 0), (-1, 1), (1, 1); pairs -1, 1, 0: their mean is 0.
    # Leaving one out leaves the pairs 0, 1 and -1: variance 2/3 * (0 + 1 + 1) = 4/3.
    found = statistics.bias(np.array([[3.0, 0.0], [1.0, 1.0], [3.0, 1.0]]), np.array([[2.0, 0.0]]))
    error = np.sqrt(4.0 / 3.0)
    np.testing.assert_allclose(found, Bias(0.0, np.sqrt(2.0 * error) / 2.0, 0.0), atol=1e-12)


def test_bias_is_the_relative_distance_where_there_is_no_noise():
    found = statistics.bias(np.array([[3.0, 4.0]] * 4), np.array([[3.0, 0.0]]))
    assert found.relative == pytest.approx(4.0 / 3.0)
    assert found.limit == pytest.approx(4.0 / 3.0)
    assert found.z > 1e6


def test_an_exact_estimator_has_no_bias_to_rounding():
    exact = np.array([[0.1, -0.7, 30.0]])
    found = statistics.bias(np.repeat(exact, 8, axis=0) * (1.0 + 1e-7), exact)
    assert found.limit < 2e-5
    assert abs(found.z) < 1.0


@pytest.mark.parametrize("exact", [True, False])
def test_squared_bias_of_noise_is_centered_and_its_error_is_right(exact):
    """z of an unbiased estimator over 400 repetitions: mean within 4 standard errors of 0, deviation near 1."""
    generator = np.random.default_rng(1)
    truth = np.ones(30)

    def z():
        means = truth + 2.0 * generator.normal(size=(16, 30))
        reference = truth[None] if exact else truth + generator.normal(size=(16, 30))
        return statistics.bias(means, reference).z

    found = np.array([z() for _ in range(400)])
    # 1.3: the jackknife of 16 blocks may miss the deviation by a fifth, and z then has tails.
    assert abs(found.mean()) < 4.0 * 1.3 / np.sqrt(400)
    assert 0.7 < found.std() < 1.3


def test_a_bias_is_found_through_the_noise_of_the_reference():
    generator = np.random.default_rng(2)
    truth = np.ones(50)
    means = 1.5 * truth + generator.normal(size=(32, 50))
    found = statistics.bias(means, truth + generator.normal(size=(32, 50)))
    # |E x - g| / |g| = 0.5; its error by the delta method, 2 |b| s sqrt(2 / 32) / (2 |b| |g|), is 0.04.
    assert found.relative == pytest.approx(0.5, abs=0.16)
    assert found.z > 4.0


def test_projection_is_the_length_along_the_exact_gradient():
    blocks = np.array([[1.0, 5.0], [2.0, -5.0], [3.0, 0.0]])
    assert statistics.projection(blocks, np.array([[4.0, 0.0]])) == pytest.approx(0.5)


def test_direction_is_the_cosine_of_the_expectation_without_its_noise():
    # Pairs of different blocks: <a, b> = 9 + 16 - 1 = 24 is the squared length; along (1, 0, 0) the mean is 3.
    blocks = np.array([[3.0, 4.0, 1.0], [3.0, 4.0, -1.0]])
    assert statistics.direction(blocks, np.array([[2.0, 0.0, 0.0]])) == pytest.approx(3.0 / np.sqrt(24.0))
    assert np.isnan(statistics.direction(np.array([[1.0], [-1.0]]), np.array([[1.0]])))


def test_noise_of_the_reference_shortens_nothing():
    # The reference is (2, 0) with noise: <a, b> = 4 - 1 is its squared length, and its mean (2, 0) has 4.
    reference = np.array([[2.0, 1.0], [2.0, -1.0]])
    blocks = np.array([[1.0, 0.0]] * 3)
    assert statistics.projection(blocks, reference) == pytest.approx(2.0 / 3.0)
    assert statistics.direction(blocks, reference) == pytest.approx(2.0 / np.sqrt(3.0))
    draws = Draws(blocks, 0.0, 1.5, 3)
    assert statistics.draw_cosine(draws, reference) == pytest.approx(0.5 * np.sqrt(4.0 / 3.0))


def test_a_reference_that_noise_hides_gives_no_figures():
    hidden = np.array([[1.0], [-1.0]])
    assert np.isnan(statistics.bias(np.ones((3, 1)), hidden)).all()
    assert np.isnan(statistics.projection(np.ones((3, 1)), hidden))


def test_ratio_averages_two_draws_of_an_estimator_of_one_reward():
    of_rloo = {2: 8.0, 4: 3.0}
    assert statistics.ratio_to_rloo(32.0, 1, of_rloo) == 2.0
    assert statistics.ratio_to_rloo(4.0, 2, of_rloo) == 0.5
    assert statistics.ratio_to_rloo(3.0, 4, of_rloo) == 1.0
    assert statistics.ratio_to_rloo(3.0, 7, of_rloo) is None


def test_noise_to_signal_is_total_variance_over_squared_length():
    # Two blocks of one draw each: variance (2, 0) of the components, <x_1, x_2> = 3 + 16.
    found = statistics.noise_to_signal(Draws(np.array([[1.0, 4.0], [3.0, 4.0]]), 0.0, 0.0, 2))
    assert found == pytest.approx(2.0 / 19.0)
    assert np.isnan(statistics.noise_to_signal(Draws(np.array([[1.0], [-1.0]]), 0.0, 0.0, 2)))
