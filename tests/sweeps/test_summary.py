import json

from ctc_jax.sweeps.expand import Trial
from ctc_jax.sweeps.summary import Outcome, newest, write_summary


def write_run(root, name, lines, config=None):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))


def test_test_numbers_come_before_validation_and_training():
    lines = [
        {"step": 1, "split": "train", "bound_bpd": 1.0},
        {"step": 2, "split": "validation", "bound_bpd": 2.0},
        {"step": 3, "split": "test", "bound_bpd": 3.0},
        {"step": 4, "split": "train", "bound_bpd": 4.0},
    ]
    assert newest(lines) == ("test", 3, {"bound_bpd": 3.0})
    assert newest([lines[0], lines[3]]) == ("train", 4, {"bound_bpd": 4.0})
    assert newest([]) == ("", None, {})


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
    for words in ("bound (bpd)", ">4.800</td>", "failed (3)", '<a href="seed=0/report.html"', ">1,200</td>"):
        assert words in page
    assert "kl top" not in page


def test_a_run_whose_file_is_broken_does_not_keep_the_others_from_their_page(tmp_path):
    write_run(tmp_path, "seed=0", [{"step": 1, "split": "test", "bound_bpd": 4.8}])
    (tmp_path / "seed=1").mkdir()
    (tmp_path / "seed=1" / "metrics.jsonl").write_text("no JSON\n{}\n")
    trials = [Trial(f"seed={seed}", {"seed": seed}) for seed in range(2)]
    outcomes = {trial.name: Outcome("finished", 0) for trial in trials}
    write_summary(tmp_path, config_file="c.py", sweep_file="s.py", trials=trials, outcomes=outcomes)
    assert ">4.800</td>" in (tmp_path / "sweep.html").read_text()
