"""Sweeps on a Slurm of one node, started here: packages slurm-wlm and munge, as root; skipped elsewhere."""

import dataclasses
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time

import ml_collections
import pytest

from ctc_jax.errors import SAVED_EXIT_CODE
from ctc_jax.sweeps import executors
from ctc_jax.sweeps.execute import execute
from ctc_jax.sweeps.ledger import Ledger

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun", "scontrol", "scancel")
PATH = f"{os.environ['PATH']}:/usr/sbin"
MISSING = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING) or os.getuid() != 0, reason=f"no Slurm that can be started here: {MISSING}"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=3
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=10
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
BASE = ml_collections.ConfigDict({"seed": 0, "train": {"steps": 1}})
# The first start waits until it is told to stop, and saves; the next one is done at once. No two may be at work.
COMMAND = """
import os, pathlib, signal, sys, time
workdir = pathlib.Path(dict(word[2:].split("=", 1) for word in sys.argv[1:])["workdir"])
workdir.mkdir(parents=True, exist_ok=True)
os.close(os.open(workdir / "lock", os.O_CREAT | os.O_EXCL))
def end(code):
    (workdir / "lock").unlink()
    os._exit(code)
signal.signal(signal.SIGTERM, lambda *_: end(75))
first = not (workdir / "ready").exists()
(workdir / "ready").touch()
deadline = time.time() + 90
while first and not (workdir.parent / "go").exists() and time.time() < deadline: time.sleep(0.05)
(workdir / "done").touch()
end(0)
"""


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Its configuration file, for SLURM_CONF."""
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o600)
    host, file = platform.node().split(".")[0], folder / "slurm.conf"
    file.write_text(CONFIGURATION.format(host=host, folder=folder, ports=[free_port(), free_port()]))
    environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(file)}
    names = {"key-file": "key", "socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log"}
    munge = ["munged", "--foreground", "--force", f"--seed-file={folder / 'seed'}"]
    munge += [f"--{option}={folder / name}" for option, name in names.items()]
    commands = [munge, ["slurmctld", "-D", "-c"], ["slurmd", "-D"]]
    with open(folder / "log", "wb") as log:
        started = []
        for command in commands:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            time.sleep(1.0)
        deadline = time.time() + 30
        while time.time() < deadline:
            told = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True)
            if told.stdout.strip() == "idle":
                break
            time.sleep(0.2)
        else:
            pytest.skip(f"Slurm does not start here: {(folder / 'log').read_text()[-300:]}")
        yield file
        subprocess.run(["scancel", "--me"], env=environment, check=False)
        for process in reversed(started):
            process.terminate()
            process.wait()


@pytest.fixture
def sweep(cluster, tmp_path, monkeypatch):
    """What `execute` takes, for a sweep of one run."""
    monkeypatch.setenv("SLURM_CONF", str(cluster))
    monkeypatch.setenv("PATH", PATH)
    monkeypatch.setattr(executors, "QUEUE_SECONDS", 0.5)
    monkeypatch.setattr(executors.Slurm, "grace_seconds", 2.0)
    (tmp_path / "command.py").write_text(COMMAND)
    (tmp_path / "sweep.py").write_text("def get_overrides():\n    yield {'seed': 1}\n")
    return {
        "config_file": "c.py",
        "sweep_file": str(tmp_path / "sweep.py"),
        "executor": "slurm",
        "root": tmp_path / "root",
        "config": BASE,
        "command": [sys.executable, "-S", str(tmp_path / "command.py")],
    }


def when_ready(root, act):
    """Does it, in a thread, with the number of the job once its command has begun."""

    def wait():
        deadline = time.time() + 60
        while not (root / "seed=1" / "ready").exists() and time.time() < deadline:
            time.sleep(0.1)
        act(Ledger(root / "jobs").read("seed=1").job_id)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def state_of(root):
    (row,) = json.loads((root / "sweep.json").read_text())["runs"]
    return row["state"], row["exit_code"]


def requeue(job):
    subprocess.run(["scontrol", "requeue", job], check=True)
    # Slurm would wait two minutes.
    for _ in range(8):
        time.sleep(1.0)
        subprocess.run(["scontrol", "update", f"jobid={job}", "StartTime=now"], check=False, capture_output=True)


def test_a_run_whose_job_slurm_queues_again_is_finished_when_it_is_done(sweep):
    thread = when_ready(sweep["root"], requeue)
    assert execute(**sweep) == 0
    thread.join()
    assert (sweep["root"] / "seed=1" / "done").exists()
    assert state_of(sweep["root"]) == ("finished", 0)


def test_a_run_whose_job_is_cancelled_is_stopped(sweep):
    thread = when_ready(sweep["root"], lambda job: subprocess.run(["scancel", job], check=True))
    assert execute(**sweep) == SAVED_EXIT_CODE
    thread.join()
    assert state_of(sweep["root"]) == ("stopped", SAVED_EXIT_CODE)
    assert execute(**sweep) == 0


@pytest.mark.parametrize("knows_its_job", [True, False])
def test_the_job_of_a_killed_launcher_is_found_and_not_queued_twice(sweep, knows_its_job, capsys):
    root = sweep["root"]
    told = {**sweep, "root": str(root), "config": None}
    code = (
        "import ml_collections\nfrom pathlib import Path\nfrom ctc_jax.sweeps import execute\n"
        f"told = {told!r}\n"
        f"execute(**{{**told, 'root': Path(told['root']), 'config': ml_collections.ConfigDict({BASE.to_dict()!r})}})"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    when_ready(root, lambda job: launcher.kill()).join()
    launcher.wait()
    if not knows_its_job:  # killed before it could note the number
        ledger = Ledger(root / "jobs")
        ledger.write("seed=1", dataclasses.replace(ledger.read("seed=1"), job_id=""))
    timer = threading.Timer(3.0, (root / "go").touch)
    timer.start()
    assert execute(**sweep) == 0
    timer.join()
    assert "seed=1 is still at work for an earlier launcher" in capsys.readouterr().out
    assert state_of(root) == ("finished", 0)
    assert len(list((root / ".submitit").glob("*_submitted.pkl"))) == 1
