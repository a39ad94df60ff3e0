import math

import pytest

from ctc_jax.sweeps.over_seeds import over_seeds


def finished(overrides, numbers):
    return {"overrides": overrides, "state": "finished", "split": "test", "numbers": numbers}


def test_runs_that_differ_in_the_seed_are_averaged():
    rows = [
        {
            "overrides": {"likelihood.name": name, "seed": seed},
            "split": "test",
            "numbers": {"bound_bpd": value},
            "state": "finished",
        }
        for name, seed, value in [("a", 0, 1.0), ("b", 0, 5.0), ("a", 1, 2.0), ("a", 2, 6.0)]
    ]
    rows.append(finished({"likelihood.name": "a", "seed": 3}, {}))
    first, second = over_seeds(rows)
    assert (first["overrides"], first["runs"]) == ({"likelihood.name": "a"}, 3)
    # mean of 1, 2, 6 is 3; variance (4 + 1 + 9) / (n - 1 = 2), of the mean over n = 3 of it
    assert first["numbers"]["bound_bpd"] == pytest.approx((3.0, math.sqrt(7 / 3)))
    assert second["numbers"]["bound_bpd"] == (5.0, None)


@pytest.mark.parametrize("state", ["failed", "running", "stopped", "waiting"])
def test_a_run_that_is_not_finished_is_left_out_though_it_holds_figures(state):
    """They may be those of an earlier start, as where a run failed when it was asked to go on."""
    figures = {"split": "test", "numbers": {"bound_bpd": 2.0}}
    rows = [
        {"overrides": {"seed": 0}, "state": "finished", **figures},
        {"overrides": {"seed": 1}, "state": state, **figures},
    ]
    assert [(row["runs"], row["numbers"]["bound_bpd"]) for row in over_seeds(rows)] == [(1, (2.0, None))]


def test_mean_with_a_value_that_is_not_finite_is_nan():
    rows = [
        {"overrides": {"seed": seed}, "split": "test", "numbers": {"a": seed or "NaN"}, "state": "finished"}
        for seed in range(2)
    ]
    mean, error = over_seeds(rows)[0]["numbers"]["a"]
    assert math.isnan(mean)
    assert error is None
