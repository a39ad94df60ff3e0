import json
import math

import pytest

from ctc_jax.sweeps.expand import Trial
from ctc_jax.sweeps.summary import Outcome, over_seeds, read_numbers, write_summary


def write_run(root, name, lines, config=None):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))


def finished(overrides, numbers):
    return {"overrides": overrides, "state": "finished", "split": "test", "numbers": numbers}


def test_test_numbers_come_before_validation_and_training(tmp_path):
    lines = [
        {"step": 1, "split": "train", "bound_bpd": 1.0},
        {"step": 2, "split": "validation", "bound_bpd": 2.0},
        {"step": 3, "split": "test", "bound_bpd": 3.0},
        {"step": 4, "split": "train", "bound_bpd": 4.0},
    ]
    write_run(tmp_path, "all", lines)
    write_run(tmp_path, "young", [lines[0], lines[3]])
    assert read_numbers(tmp_path / "all") == ("test", 3, {"bound_bpd": 3.0})
    assert read_numbers(tmp_path / "young") == ("train", 4, {"bound_bpd": 4.0})
    assert read_numbers(tmp_path / "none") == ("", None, {})


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
    # mean of 1, 2, 6 is 3; squared deviations 4 + 1 + 9 over n - 1 = 2
    assert first["numbers"]["bound_bpd"] == pytest.approx((3.0, math.sqrt(7)))
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
    mean, deviation = over_seeds(rows)[0]["numbers"]["a"]
    assert math.isnan(mean)
    assert deviation is None


def test_page_and_json_hold_states_numbers_and_configs(tmp_path):
    trials = [Trial(f"seed={seed}", {"seed": seed}) for seed in range(3)]
    write_run(
        tmp_path, "seed=0", [{"step": 1200, "split": "test", "bound_bpd": 4.8, "kl_nats/top": 1.0}], {"a": {"b": 1}}
    )
    write_run(tmp_path, "seed=1", [{"step": 1200, "split": "test", "bound_bpd": "NaN", "kl_nats/top": 1.0}])
    (tmp_path / "seed=0" / "report.html").write_text("")
    outcomes = {"seed=0": Outcome("finished", 0), "seed=1": Outcome("failed", 3), "seed=2": Outcome("waiting")}
    write_summary(
        tmp_path, config_file="configs/c.py:cpu", sweep_file="configs/sweeps/s.py", trials=trials, outcomes=outcomes
    )

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    content = json.loads((tmp_path / "sweep.json").read_text(), parse_constant=refuse)
    assert [row["state"] for row in content["runs"]] == ["finished", "failed", "waiting"]
    assert content["runs"][0]["numbers"] == {"bound_bpd": 4.8, "kl_nats/top": 1.0}
    assert content["runs"][0]["config"] == {"a.b": 1}
    assert content["runs"][1]["numbers"]["bound_bpd"] == "NaN"
    page = (tmp_path / "sweep.html").read_text()
    for words in ("bound (bpd)", "<td>4.800</td>", "failed (3)", '<a href="seed=0/report.html">', "<td>1,200</td>"):
        assert words in page
    assert "kl top" not in page
