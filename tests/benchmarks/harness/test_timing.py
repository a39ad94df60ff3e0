import pytest

from benchmarks.harness import timing


class Clock:
    """Time that passes only when a candidate works."""

    def __init__(self):
        self.now, self.order = 0.0, []

    def perf_counter(self):
        return self.now

    def work(self, name, seconds):
        def advance(count):
            self.order.append(name)
            self.now += count * seconds

        return advance


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", made.perf_counter)
    return made


def test_seconds_are_those_of_one_repetition(clock):
    times = timing.take_turns({"a": clock.work("a", 0.25), "b": clock.work("b", 3.0)}, rounds=3, seconds=1.0)
    assert times == {"a": [0.25] * 3, "b": [3.0] * 3}


def test_order_turns_round_by_round(clock):
    candidates = {name: clock.work(name, 1.0) for name in "abc"}
    timing.take_turns(candidates, rounds=3, seconds=1.0)
    assert "".join(clock.order).endswith("abcbcacab")


def test_repetitions_fill_the_turn_and_are_never_none(clock):
    assert timing.repetitions(clock.work("a", 0.25), 1.0) == 4
    assert timing.repetitions(clock.work("a", 9.0), 1.0) == 1


def test_ratio_pairs_within_a_round_so_that_a_common_drift_cancels():
    drift = [1.0, 5.0, 2.0, 40.0]
    assert timing.ratio([2.0 * second for second in drift], drift) == timing.Ratio(2.0, 2.0, 2.0)


def test_median_is_in_milliseconds():
    assert timing.median_ms([0.001, 0.5, 0.002]) == pytest.approx(2.0)


def test_width_inverts_a_cost_that_grows_with_its_square():
    def cost(width):
        return 30.0 + 0.01 * width**2

    assert timing.width_for(cost(160), (64, 128), (cost(64), cost(128))) == 160
    assert timing.width_for(1.0, (64, 128), (cost(64), cost(128))) == 16
