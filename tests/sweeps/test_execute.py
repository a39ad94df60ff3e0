import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import ml_collections
import pytest
import submitit

from ctc_jax.errors import SAVED_EXIT_CODE, ConfigError, UserError
from ctc_jax.sweeps import saved_config
from ctc_jax.sweeps.execute import execute
from ctc_jax.sweeps.executors import TOKEN, Local, core_shares
from ctc_jax.sweeps.ledger import Ledger, Submission

BASE = ml_collections.ConfigDict({"seed": 0, "data": {"name": "shapes"}})

# Stands in for launch.py: notes its arguments and the times it ran; seed 2 fails, seed 9 runs until it is told to stop,
# and seed 8 leaves at the second start.
COMMAND = """
import json, pathlib, signal, sys, time
arguments = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
config = json.loads(pathlib.Path(arguments["config"].partition(":")[2]).read_text())
workdir, seed = pathlib.Path(arguments["workdir"]), config["seed"]
workdir.mkdir(parents=True, exist_ok=True)
begin, again = time.time(), (workdir / "ready").exists()
if seed == 9 or seed == 8 and not again:
    signal.signal(signal.SIGTERM, lambda *_: ((workdir / "saved").touch(), sys.exit(75)))
    (workdir / "ready").touch()
    time.sleep(60)
time.sleep(0.3)
(workdir / "metrics.jsonl").write_text(json.dumps({"step": 1, "split": "test", "bound_bpd": 4 + seed}) + "\\n")
seen = {"arguments": arguments, "config": config, "begin": begin, "end": time.time()}
(workdir / "seen.json").write_text(json.dumps(seen))
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
    config = ml_collections.ConfigDict({"seed": 0, "data": {"name": "typed"}})
    exit_code = execute(
        "configs/c.py:cpu",
        file,
        executor="local",
        root=root,
        parallel=1,
        config=config,
        mode="evaluate",
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
    file = Path(saved_config.__file__)
    assert seen[0]["arguments"] == {
        "mode": "evaluate",
        "config": f"{file}:{root / 'configs' / 'seed=1.json'}",
        "workdir": str(root / "seed=1"),
    }
    assert [one["config"]["data"]["name"] for one in seen] == ["typed", "typed", "a b"]
    assert all(earlier["end"] <= later["begin"] for earlier, later in itertools.pairwise(seen))
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last[0] == "1 of 3 runs failed:"
    log = root / "logs" / "seed=2.log"
    assert last[1] == f"  seed=2: exit code 1, log {log}: config.seed is 2; allowed: others"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be shared out")
@pytest.mark.slow
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
    options = {"executor": "local", "root": root, "parallel": 2, "config": BASE, "command": command}
    assert execute("configs/c.py", file, **options) == 0
    seen = [(root / f"seed={seed}" / "cores").read_text() for seed in range(4)]
    words = [" ".join(map(str, sorted(share))) for share in shares]
    assert seen[:2] == words
    assert set(seen[2:]) <= set(words)  # whichever of the first two ended first handed its own on


@pytest.mark.slow
def test_several_runs_go_at_once_when_allowed(tmp_path):
    file = sweep_file(tmp_path, [{"seed": 0}, {"seed": 1}])
    # Each run waits until the other one has begun: one at a time, neither would end well.
    path = tmp_path / "waits.py"
    path.write_text(
        "import pathlib, sys, time\n"
        "workdir = pathlib.Path(sys.argv[-1].partition('=')[2])\n"
        "workdir.mkdir()\n"
        "deadline = time.time() + 60\n"
        "while len(list(workdir.parent.glob('seed=*'))) < 2 and time.time() < deadline: time.sleep(0.05)\n"
        "sys.exit(time.time() >= deadline)\n"
    )
    command = [sys.executable, "-S", str(path)]
    root = tmp_path / "root"
    assert execute("c.py", file, executor="local", root=root, parallel=2, config=BASE, command=command) == 0


def test_nothing_starts_when_an_override_is_wrong(tmp_path, command):
    file = sweep_file(tmp_path, [{"seed": 1}, {"sed": 2}])
    with pytest.raises(ConfigError, match="did you mean seed"):
        execute("c.py", file, executor="local", root=tmp_path / "root", config=BASE, command=command)
    assert not (tmp_path / "root").exists()


def test_unknown_executor_and_resources_are_said_in_words(tmp_path, command):
    arguments = {"root": tmp_path / "root", "config": BASE, "command": command}
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
        assert execute("c.py", file, executor="local", root=root, config=BASE, command=command) == SAVED_EXIT_CODE
    finally:
        signal.signal(signal.SIGINT, before)
    assert (root / "seed=9" / "saved").exists()
    assert not (root / "seed=1").exists()
    assert "sweep stopped" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_the_runs_which_save(tmp_path, command, number):
    file = sweep_file(tmp_path, [{"seed": 9}, {"seed": 1}])
    root = tmp_path / "root"
    # A session of its own, and the signal to all of it, as a terminal does.
    process = launcher(file, root, command)
    wait_for(root / "seed=9" / "ready", process)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == SAVED_EXIT_CODE
    assert (root / "seed=9" / "saved").exists()
    assert not (root / "seed=1").exists()
    assert "sweep stopped; the same command goes on with it" in output
    states = [row["state"] for row in json.loads((root / "sweep.json").read_text())["runs"]]
    assert states == ["stopped", "waiting"]


def launcher(file, root, command, parallel=1):
    """The sweep in a process of its own."""
    code = (
        # A shell starts what it puts into the background deaf to Ctrl-C, and so may these tests be started.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import ml_collections\nfrom pathlib import Path\nfrom ctc_jax.sweeps import execute\n"
        f"raise SystemExit(execute('c.py', {file!r}, executor='local', root=Path({str(root)!r}), parallel={parallel}, "
        f"config=ml_collections.ConfigDict({{'seed': 0}}), command={command!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)


def kill(process):
    """Kills a launcher alone; its jobs hold its output open, so that there is no waiting for the end of that."""
    process.kill()
    process.wait()
    process.stdout.close()


def wait_for(path, process=None):
    deadline = time.time() + 60
    while not path.exists():
        assert time.time() < deadline, f"{path} does not come"
        assert process is None or process.poll() is None
        time.sleep(0.05)


def states_of(root):
    return {row["name"]: row["state"] for row in json.loads((root / "sweep.json").read_text())["runs"]}


# One waits until it may end; only one of its kind may be at work.
WAITS = """
import json, os, pathlib, sys, time
arguments = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
workdir = pathlib.Path(arguments["workdir"])
workdir.mkdir(parents=True, exist_ok=True)
os.close(os.open(workdir / "lock", os.O_CREAT | os.O_EXCL))
(workdir / "ready").touch()
deadline = time.time() + 60
while not (workdir.parent / "go").exists() and time.time() < deadline: time.sleep(0.05)
(workdir / "lock").unlink()
"""


@pytest.mark.slow
def test_the_runs_of_a_killed_launcher_are_waited_for_and_counted(tmp_path, capsys):
    path = tmp_path / "waits.py"
    path.write_text(WAITS)
    command, root = [sys.executable, "-S", str(path)], tmp_path / "root"
    file = sweep_file(tmp_path, [{"seed": 0}, {"seed": 1}])
    first = launcher(file, root, command)
    wait_for(root / "seed=0" / "ready", first)
    kill(first)
    timer = threading.Timer(2.0, (root / "go").touch)
    timer.start()
    config = ml_collections.ConfigDict({"seed": 0})
    assert execute("c.py", file, executor="local", root=root, config=config, command=command) == 0
    timer.join()
    # Started again, seed 0 would have found its lock and failed.
    assert states_of(root) == {"seed=0": "finished", "seed=1": "finished"}
    assert "seed=0 is still at work for an earlier launcher" in capsys.readouterr().out
    assert list((root / "jobs").iterdir()) == []


@pytest.mark.slow
def test_a_run_that_a_killed_launcher_was_stopping_goes_on(tmp_path, command):
    root, file = tmp_path / "root", sweep_file(tmp_path, [{"seed": 8}])
    first = launcher(file, root, command)
    wait_for(root / "seed=8" / "ready", first)
    kill(first)
    (noted,) = (root / "jobs").glob("*.json")
    token = json.loads(noted.read_text())["token"]
    timer = threading.Timer(1.0, lambda: Local(tmp_path / "other", {}, 1).stop(Submission("local", token=token)))
    timer.start()
    config = ml_collections.ConfigDict({"seed": 0})
    assert execute("c.py", file, executor="local", root=root, config=config, command=command) == 0
    timer.join()
    assert (root / "seed=8" / "saved").exists()
    assert (root / "seed=8" / "seen.json").exists()


def test_a_run_at_work_with_another_config_is_left_alone(tmp_path):
    root, submission = tmp_path / "root", Submission("local")
    for folder in ("jobs", "configs"):
        (root / folder).mkdir(parents=True)
    Ledger(root / "jobs").write("seed=1", submission)
    (root / "configs" / "seed=1.json").write_text(json.dumps({"seed": 1, "data": {"name": "mnist"}}))
    with sleeping(submission.token), pytest.raises(UserError, match=r"seed=1 is still at work with.*data\.name"):
        execute("c.py", sweep_file(tmp_path, [{"seed": 1}]), executor="local", root=root, config=BASE)


@contextlib.contextmanager
def sleeping(token):
    """A process with this token."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", "print(1, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={TOKEN: token},
    )
    with process:
        process.stdout.readline()
        yield
        process.kill()


@pytest.mark.slow
def test_a_run_that_was_told_to_end_by_another_is_stopped_and_not_finished(tmp_path, command):
    root = tmp_path / "root"
    process = launcher(sweep_file(tmp_path, [{"seed": 9}, {"seed": 1}]), root, command)
    wait_for(root / "seed=9" / "ready", process)
    (noted,) = (root / "jobs").glob("*.json")
    Local(tmp_path / "other", {}, 1).stop(Submission("local", token=json.loads(noted.read_text())["token"]))
    process.communicate(timeout=60)
    assert process.returncode == SAVED_EXIT_CODE
    assert states_of(root) == {"seed=9": "stopped", "seed=1": "finished"}


@pytest.mark.slow
def test_a_lost_run_whose_figures_are_complete_is_finished(tmp_path):
    """Its job was killed before it could note the exit code; the metrics decide."""
    path = tmp_path / "lost.py"
    path.write_text(
        "import json, os, pathlib, signal, sys\n"
        "arguments = dict(argument[2:].split('=', 1) for argument in sys.argv[1:])\n"
        "config = json.loads(pathlib.Path(arguments['config'].partition(':')[2]).read_text())\n"
        "workdir = pathlib.Path(arguments['workdir'])\n"
        "workdir.mkdir()\n"
        "lines = [{'step': 3, 'split': split} for split in ('train', 'test')]\n"
        "written = [json.dumps(line) + chr(10) for line in lines[: config['seed']]]\n"
        "(workdir / 'metrics.jsonl').write_text(''.join(written))\n"
        "os.kill(os.getppid(), signal.SIGKILL)\n"
    )
    root, config = tmp_path / "root", ml_collections.ConfigDict({"seed": 0, "train": {"steps": 3}})
    file, command = sweep_file(tmp_path, [{"seed": 1}, {"seed": 2}]), [sys.executable, "-S", str(path)]
    assert execute("c.py", file, executor="local", root=root, config=config, command=command) == 1
    assert states_of(root) == {"seed=1": "failed", "seed=2": "finished"}


def test_a_second_launcher_of_a_sweep_is_refused(tmp_path, command):
    root, file = tmp_path / "root", sweep_file(tmp_path, [{"seed": 9}])
    process = launcher(file, root, command)
    wait_for(root / "seed=9" / "ready", process)
    with pytest.raises(UserError, match=f"is at work already, by process {process.pid} "):
        execute("c.py", file, executor="local", root=root, config=BASE, command=command)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def test_a_folder_that_cannot_be_made_is_said_in_words(tmp_path, command):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written: Not a directory"):
        execute("c.py", sweep_file(tmp_path, [{"seed": 1}]), executor="local", root=tmp_path / "file", config=BASE)
