import os

import pytest

from ctc_jax.sweeps.core_shares import core_shares


@pytest.mark.parametrize(
    ("cores", "runs", "shares"),
    [
        ({0, 1}, 2, [{0}, {1}]),
        ({4, 5, 6, 7, 9}, 2, [{4, 5}, {6, 7, 9}]),
        (set(range(8)), 3, [{0, 1}, {2, 3, 4}, {5, 6, 7}]),
        ({0, 1, 2}, 1, []),
        ({0, 1}, 3, []),
    ],
)
def test_cores_are_shared_out_whole_where_there_are_enough(monkeypatch, cores, runs, shares):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores, raising=False)
    assert core_shares(runs) == shares


def test_a_system_that_pins_no_process_shares_nothing(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert core_shares(2) == []
