import gc
import threading
import time

import pytest

from ctc_jax.data.prefetch import Prefetch


def running():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_results_are_those_of_the_function_in_any_order_of_calls():
    prefetch = Prefetch(lambda step, count: (step, count))
    calls = [(0, 1), (1, 1), (2, 1), (7, 3), (10, 3), (3, 1), (3, 1), (13, 3), (14, 1)]
    assert [prefetch(*call) for call in calls] == calls
    prefetch.close()


def test_two_calls_at_the_same_pace_are_made_ahead():
    made = []
    prefetch = Prefetch(lambda step, count: made.append((step, count)))
    prefetch(5, 2)
    assert wait_until(lambda: len(made) == 3)
    assert made == [(5, 2), (7, 2), (9, 2)]
    prefetch(7, 2)
    assert wait_until(lambda: len(made) == 4)
    assert made[3] == (11, 2)
    prefetch.close()


def test_an_exception_is_raised_by_the_call_it_belongs_to():
    def fetch(step, count):
        if step == 2:
            raise ValueError("the file is gone")
        return step

    prefetch = Prefetch(fetch)
    assert [prefetch(0, 1), prefetch(1, 1)] == [0, 1]
    with pytest.raises(ValueError, match="the file is gone"):
        prefetch(2, 1)
    assert prefetch(3, 1) == 3
    prefetch.close()


def test_close_ends_the_thread():
    prefetch = Prefetch(lambda step, count: step)
    prefetch(0, 1)
    assert running()
    prefetch.close()
    assert not running()


def test_a_forgotten_object_leaves_no_thread():
    prefetch = Prefetch(lambda step, count: step)
    prefetch(0, 1)
    del prefetch
    gc.collect()
    assert wait_until(lambda: not running())
