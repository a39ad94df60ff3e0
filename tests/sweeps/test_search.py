import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import ml_collections
import optuna
import pytest

from ctc_jax.errors import SAVED_EXIT_CODE, ConfigError, UserError
from ctc_jax.sweeps import search

BASE = ml_collections.ConfigDict({"x": 0.0, "sleep": 0.0, "train": {"steps": 4}})
# A run: four validation bounds that fall to (x - 3)^2, saved after each; 3 where x is below 0, 2 where it is above 100.
RUN = """
import json, os, pathlib, signal, sys, time
arguments = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
config = json.loads(pathlib.Path(arguments["config"].partition(":")[2]).read_text())
signal.signal(signal.SIGTERM, lambda *_: os._exit(75))
workdir = pathlib.Path(arguments["workdir"])
workdir.mkdir(exist_ok=True)
if config["x"] > 100:
    print("error: x is too large")
    sys.exit(2)
metrics = workdir / "metrics.jsonl"
done = len(metrics.read_text().splitlines()) if metrics.exists() else 0
(workdir / "starts").open("a").write("x")
for step in range(done + 1, 5):
    time.sleep(config["sleep"])
    bound = (config["x"] - 3.0) ** 2 + 10.0 / step
    with metrics.open("a") as file:
        file.write(json.dumps({"step": step, "split": "validation", "bound_bpd": bound}) + chr(10))
sys.exit(3 if config["x"] < 0 else 0)
"""
SUGGEST = "def suggest(trial):\n    return {'x': trial.suggest_float('x', 0.0, 10.0)}\nimport optuna\n"
SAMPLER = "SAMPLER = optuna.samplers.TPESampler(seed=0, n_startup_trials=5)\n"
NEVER = "PRUNER = optuna.pruners.NopPruner()\n"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run.py").write_text(RUN)
    command = (sys.executable, "-S", str(tmp_path / "run.py"))

    def run(body=SUGGEST + NEVER, runs=3, **options):
        (tmp_path / "search.py").write_text(body)
        shared = {"root": tmp_path / "root", "config": BASE, "runs": runs, "command": command}
        return search("a.py", str(tmp_path / "search.py"), **shared, **options)

    return run


def known(root) -> list[dict]:
    return json.loads((root / "sweep.json").read_text())["runs"]


def bounds(root) -> list[float]:
    return [one["numbers"]["bound_bpd"] for one in known(root)]


def test_it_finds_what_is_better_than_chance_and_tells_the_best(run, tmp_path, capsys):
    assert run(SUGGEST + SAMPLER + NEVER, runs=16) == 0
    assert len(known(tmp_path / "root")) == 16
    found = bounds(tmp_path / "root")
    # Half of the interval's uniform draws are off by more than 2.5, so at or above 6.25 + 2.5.
    assert sorted(found[5:])[5] < 2.5 + 6.25
    assert f"best: {min(found):.4f} bpd" in capsys.readouterr().out


def test_the_same_command_goes_on_and_more_runs_only_add(run, tmp_path, capsys):
    assert run(runs=2, parallel=2) == 0
    assert re.findall(r"\[(\d)/2\] finished", capsys.readouterr().out) == ["1", "2"]
    before = {one["name"] for one in known(tmp_path / "root")}
    assert run(runs=5, parallel=2) == 0
    after = {one["name"] for one in known(tmp_path / "root")}
    assert before < after
    assert len(after) == 5
    assert all((tmp_path / "root" / name / "starts").read_text() == "x" for name in after)


def test_a_run_that_is_worse_than_most_at_its_step_is_stopped(run, tmp_path):
    # The others, were they not stopped, would take four seconds each.
    body = (
        "import optuna\n"
        "def suggest(trial):\n"
        "    x = trial.suggest_categorical('x', [3.0, 9.0])\n"
        "    return {'x': x, 'sleep': 0.0 if x == 3.0 else 1.0}\n"
        "SAMPLER = optuna.samplers.RandomSampler(seed=0)\n"
        "PRUNER = optuna.pruners.ThresholdPruner(upper=20.0)\n"
    )
    assert run(body, runs=5) == 0
    by_x = {one["overrides"]["x"]: one for one in known(tmp_path / "root")}
    assert (by_x[3.0]["state"], by_x[9.0]["state"]) == ("finished", "pruned")
    assert (by_x[3.0]["step"], by_x[9.0]["step"]) == (4, 1)


def test_a_run_that_diverges_is_no_failure_and_one_that_fails_is_told(run, tmp_path, capsys):
    assert run(SUGGEST.replace("0.0, 10.0", "-9.0, -8.0") + NEVER, runs=2) == 0
    assert {one["state"] for one in known(tmp_path / "root")} == {"pruned"}
    assert run(SUGGEST.replace("0.0, 10.0", "200.0, 300.0") + NEVER, runs=20) == 1
    told = capsys.readouterr().out
    assert told.count("error: x is too large") == 3  # and then no more is tried


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_stopped_or_killed_launcher_left_is_taken_up(run, tmp_path, how):
    body = (
        "def suggest(trial):\n    return {'x': trial.suggest_float('x', 0.0, 10.0), 'sleep': 0.4}\nimport optuna\n"
        + NEVER
    )
    (tmp_path / "search.py").write_text(body)
    root = tmp_path / "root"
    given = {"root": str(root), "config": BASE.to_dict(), "command": [sys.executable, "-S", str(tmp_path / "run.py")]}
    launch = (
        "import sys; from pathlib import Path; import ml_collections; from ctc_jax.sweeps import search\n"
        f"given = {given!r}\n"
        "given |= {'root': Path(given['root']), 'config': ml_collections.ConfigDict(given['config'])}\n"
        f"sys.exit(search('a.py', {str(tmp_path / 'search.py')!r}, runs=2, **given))"
    )
    launcher = subprocess.Popen([sys.executable, "-c", launch], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 100
    while not list(root.glob("*/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(launcher.pid, how)
    assert launcher.wait(timeout=60) == (SAVED_EXIT_CODE if how == signal.SIGTERM else -how)
    launcher.stdout.close()
    (first,) = root.glob("*/metrics.jsonl")
    if how == signal.SIGKILL:  # its run goes on without it; here it is over when the next launcher comes
        while len(first.read_text().splitlines()) < 4:
            time.sleep(0.05)
    assert run(body, runs=2) == 0
    assert len(known(root)) == 2
    assert first.parent.name in {one["name"] for one in known(root)}
    assert len(first.read_text().splitlines()) == 4
    assert (first.parent / "starts").read_text() == "xx"


@pytest.mark.parametrize(
    ("body", "error", "told"),
    [
        ("x = 1", UserError, r"no function suggest\(trial\)"),
        ("1 / 0", UserError, "fails: ZeroDivisionError"),
        ("def suggest(trial):\n    return {'y': 1}", ConfigError, "config.y is 1"),
    ],
)
def test_a_wrong_file_or_key_is_told_before_anything_runs(run, body, error, told):
    with pytest.raises(error, match=told):
        run(body)


def test_without_optuna_its_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'ctc-jax\[search\]'"):
        run()


def test_two_launchers_share_one_search(run, tmp_path):
    assert run(runs=2) == 0
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "root" / "search.journal"))
    other = optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(journal))
    # One that is at work elsewhere counts, and is not taken up while its launcher lives.
    trial = other.ask()
    trial.suggest_float("x", 0.0, 10.0)
    (tmp_path / "root" / "workers" / "elsewhere").touch()
    with open(tmp_path / "root" / "workers" / "elsewhere") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        trial.set_user_attr("worker", "elsewhere")
        assert run(runs=3) == 0
        assert len(known(tmp_path / "root")) == 2
    assert run(runs=3) == 0
    assert len(known(tmp_path / "root")) == 3
