import numpy as np
import pytest

from benchmarks.claims.linear_probe import PENALTIES, r_squared

RANDOM = np.random.default_rng(0)
PLACES = RANDOM.uniform(0.0, 18.0, (900, 2))
OTHER = RANDOM.normal(size=(900, 30))


def probed(codes, targets=PLACES, first=600):
    return r_squared(codes[:first], targets[:first], codes[first:], targets[first:])


@pytest.mark.parametrize("units", [40, 2_000])  # fewer and more than images
def test_a_place_that_a_code_mixes_with_other_things_is_read_off_it(units):
    mixed = np.concatenate([PLACES, OTHER], axis=1) @ RANDOM.normal(size=(32, units)) + 3.0
    assert probed(mixed) > 0.999


@pytest.mark.parametrize("units", [40, 2_000])
def test_of_a_place_that_a_code_knows_nothing_of_nothing_is_explained(units):
    noise = RANDOM.normal(size=(900, units))
    assert abs(probed(noise)) < 0.05  # without a penalty found by leaving one out it would be far below 0
    assert abs(probed(noise, RANDOM.permutation(PLACES))) < 0.05


def test_noise_takes_away_its_share():
    """y = x + e with variances 1 and 1/3 explains 3/4; the error of it over 300 images of two numbers is 0.02."""
    codes = RANDOM.normal(size=(900, 2))
    noisy = codes + RANDOM.normal(size=(900, 2)) / np.sqrt(3.0)
    assert abs(probed(codes, noisy) - 0.75) < 0.08


def test_the_penalty_is_that_of_the_least_error_of_images_left_out_one_by_one():
    codes, targets = RANDOM.normal(size=(12, 8)), RANDOM.normal(size=(12, 1))
    targets += codes[:, :1]
    apart = codes - codes.mean(axis=0)
    scale = np.linalg.eigvalsh(apart @ apart.T).mean()

    def predict(x, y, new, penalty):
        slopes = np.linalg.solve(
            (x - x.mean(0)).T @ (x - x.mean(0)) + penalty * scale * np.eye(8), (x - x.mean(0)).T @ y
        )
        return (new - x.mean(0)) @ slopes + y.mean(0)

    def left_out(penalty):
        rows = [np.arange(12) != index for index in range(12)]
        return sum((predict(codes[of], targets[of], codes[~of], penalty) - targets[~of]).item() ** 2 for of in rows)

    best = min(PENALTIES, key=left_out)
    new, wanted = RANDOM.normal(size=(50, 8)), RANDOM.normal(size=(50, 1))
    errors = predict(codes, targets, new, best) - wanted
    expected = 1.0 - np.sum(errors**2) / np.sum((wanted - wanted.mean()) ** 2)
    assert r_squared(codes, targets, new, wanted) == pytest.approx(expected, rel=1e-6)
