import itertools
import json
import os
import signal
import subprocess
import sys
import time

import ml_collections
import pytest
import submitit

from ctc_jax.errors import ConfigError, UserError
from ctc_jax.sweeps.core_shares import core_shares
from ctc_jax.sweeps.execute import execute

BASE = ml_collections.ConfigDict({"seed": 0, "data": {"name": "shapes"}})

# Stands in for launch.py: notes its arguments and the times it ran; seed 2 fails, seed 9 runs until it is told to stop.
COMMAND = """
import json, pathlib, signal, sys, time
arguments = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
workdir, seed = pathlib.Path(arguments["workdir"]), int(arguments["config.seed"])
workdir.mkdir(parents=True, exist_ok=True)
begin = time.time()
if seed == 9:
    signal.signal(signal.SIGTERM, lambda *_: ((workdir / "saved").touch(), sys.exit(0)))
    (workdir / "ready").touch()
    time.sleep(60)
time.sleep(0.3)
(workdir / "metrics.jsonl").write_text(json.dumps({"step": 1, "split": "test", "bound_bpd": 4 + seed}) + "\\n")
(workdir / "seen.json").write_text(json.dumps({"arguments": arguments, "begin": begin, "end": time.time()}))
if seed == 2:
    sys.exit("config.seed is 2; allowed: others")
"""


@pytest.fixture
def command(tmp_path):
    path = tmp_path / "command.py"
    path.write_text(COMMAND)
    return [sys.executable, "-S", str(path)]


def sweep_file(folder, overrides, extra=""):
    path = folder / "sweep.py"
    path.write_text(f"{extra}\ndef get_overrides():\n    return {overrides!r}\n")
    return str(path)


def test_runs_get_their_arguments_one_at_a_time_and_failures_are_listed(tmp_path, command, capsys):
    root = tmp_path / "root"
    file = sweep_file(tmp_path, [{"seed": 1}, {"seed": 2}, {"data.name": "a b", "seed": 3}])
    arguments = ["--config.data.name=overridden"]
    exit_code = execute(
        "configs/c.py:cpu",
        file,
        executor="local",
        root=root,
        parallel=1,
        base_config=BASE,
        extra_arguments=arguments,
        command=command,
    )
    assert exit_code == 1
    rows = json.loads((root / "sweep.json").read_text())["runs"]
    assert [(row["state"], row["exit_code"], row["numbers"]["bound_bpd"]) for row in rows] == [
        ("finished", 0, 5),
        ("failed", 1, 6),
        ("finished", 0, 7),
    ]
    seen = [json.loads((root / row["name"] / "seen.json").read_text()) for row in rows]
    assert seen[0]["arguments"] == {
        "config": "configs/c.py:cpu",
        "workdir": str(root / "seed=1"),
        "config.data.name": "overridden",
        "config.seed": "1",
    }
    assert seen[2]["arguments"]["config.data.name"] == "a b"  # the sweep's own override wins
    assert all(earlier["end"] <= later["begin"] for earlier, later in itertools.pairwise(seen))
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last[0] == "1 of 3 runs failed:"
    log = root / "logs" / "seed=2.log"
    assert last[1] == f"  seed=2: exit code 1, log {log}: config.seed is 2; allowed: others"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be shared out")
def test_runs_that_go_at_once_share_the_cores_out_and_hand_them_on(tmp_path):
    shares = core_shares(2)
    path = tmp_path / "cores.py"
    path.write_text(
        "import os, pathlib, sys, time\n"
        "arguments = dict(argument[2:].split('=', 1) for argument in sys.argv[1:])\n"
        "folder = pathlib.Path(arguments['workdir'])\n"
        "folder.mkdir(parents=True)\n"
        "(folder / 'cores').write_text(' '.join(map(str, sorted(os.sched_getaffinity(0)))))\n"
        "time.sleep(0.5)\n"
    )
    root, file = tmp_path / "root", sweep_file(tmp_path, [{"seed": seed} for seed in range(4)])
    command = [sys.executable, "-S", str(path)]
    options = {"executor": "local", "root": root, "parallel": 2, "base_config": BASE, "command": command}
    assert execute("configs/c.py", file, **options) == 0
    seen = [(root / f"seed={seed}" / "cores").read_text() for seed in range(4)]
    words = [" ".join(map(str, sorted(share))) for share in shares]
    assert seen[:2] == words
    assert set(seen[2:]) <= set(words)  # whichever of the first two ended first handed its own on


def test_several_runs_go_at_once_when_allowed(tmp_path):
    file = sweep_file(tmp_path, [{"seed": 0}, {"seed": 1}])
    # Each run waits until the other one has begun: one at a time, neither would end well.
    path = tmp_path / "waits.py"
    path.write_text(
        "import pathlib, sys, time\n"
        "workdir = pathlib.Path(sys.argv[2].partition('=')[2])\n"
        "workdir.mkdir()\n"
        "deadline = time.time() + 60\n"
        "while len(list(workdir.parent.glob('seed=*'))) < 2 and time.time() < deadline: time.sleep(0.05)\n"
        "sys.exit(time.time() >= deadline)\n"
    )
    command = [sys.executable, "-S", str(path)]
    root = tmp_path / "root"
    assert execute("c.py", file, executor="local", root=root, parallel=2, base_config=BASE, command=command) == 0


def test_nothing_starts_when_an_override_is_wrong(tmp_path, command):
    file = sweep_file(tmp_path, [{"seed": 1}, {"sed": 2}])
    with pytest.raises(ConfigError, match="did you mean seed"):
        execute("c.py", file, executor="local", root=tmp_path / "root", base_config=BASE, command=command)
    assert not (tmp_path / "root").exists()


def test_unknown_executor_and_resources_are_said_in_words(tmp_path, command):
    arguments = {"root": tmp_path / "root", "base_config": BASE, "command": command}
    with pytest.raises(UserError, match="'cloud'; allowed: local, slurm"):
        execute("c.py", sweep_file(tmp_path, [{"seed": 1}]), executor="cloud", **arguments)
    file = sweep_file(tmp_path, [{"seed": 1}], "RESOURCES = {'slurm_partitoin': 'gpu'}")
    with pytest.raises(UserError, match=r"RESOURCES are wrong.*partitoin"):
        execute("c.py", file, executor="local", **arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_a_run_is_handed_over_stops_it_too(tmp_path, command, number, monkeypatch, capsys):
    file, root = sweep_file(tmp_path, [{"seed": 9}, {"seed": 1}]), tmp_path / "root"
    submit = submitit.AutoExecutor.submit

    def interrupted(self, job):
        submitted = submit(self, job)
        while not (root / "seed=9" / "ready").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), number)
        return submitted

    monkeypatch.setattr(submitit.AutoExecutor, "submit", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert execute("c.py", file, executor="local", root=root, base_config=BASE, command=command) == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert (root / "seed=9" / "saved").exists()
    assert not (root / "seed=1").exists()
    assert "sweep stopped" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_the_runs_which_save(tmp_path, command, number):
    file = sweep_file(tmp_path, [{"seed": 9}, {"seed": 1}])
    root = tmp_path / "root"
    code = (
        # A shell starts what it puts into the background deaf to Ctrl-C, and so may these tests be started.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import ml_collections\nfrom pathlib import Path\nfrom ctc_jax.sweeps import execute\n"
        f"raise SystemExit(execute('c.py', {file!r}, executor='local', root=Path({str(root)!r}), parallel=1, "
        f"base_config=ml_collections.ConfigDict({{'seed': 0}}), command={command!r}))"
    )
    # A session of its own, and the signal to all of it, as a terminal does.
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    while not (root / "seed=9" / "ready").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (root / "seed=9" / "saved").exists()
    assert not (root / "seed=1").exists()
    assert "sweep stopped; the same command goes on with it" in output
    states = [row["state"] for row in json.loads((root / "sweep.json").read_text())["runs"]]
    assert states == ["stopped", "waiting"]
