from types import SimpleNamespace

import pytest

from benchmarks.bounds.by_minutes import curve, steps_within


@pytest.mark.parametrize(
    ("minutes", "seconds", "steps"), [(10, 0.2, 3_000), (10, 0.213, 2_800), (10, 0.2131, 2_800), (0.001, 1.0, 1)]
)
def test_a_budget_holds_as_many_steps_as_fit_and_nearly_equal_speeds_the_same(minutes, seconds, steps):
    assert steps_within(minutes, seconds) == steps


def test_a_curve_has_the_minutes_of_training_at_each_validation():
    history = [
        {"split": "train", "step": 50, "elapsed_seconds": 30.0},
        {"split": "train", "step": 100, "elapsed_seconds": 90.0},
        {"split": "validation", "step": 100, "bound_bpd": 5.5},
        {"split": "test", "step": 100, "bound_bpd": 5.6},
    ]
    assert curve(SimpleNamespace(history=history)) == [(1.5, 5.5)]
