"""One run by several processes, as on several hosts: by loopback, a CPU device or two in each."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import ctc_jax
from ctc_jax.cli.watched import APART, GONE
from ctc_jax.errors import SAVED_EXIT_CODE

ROOT = Path(__file__).parents[1]
STEPS = 600
TINY = {
    "train.steps": STEPS,
    "train.warmup_steps": 0,
    "train.log_every": 50,
    "train.evaluate_every": 300,
    "train.checkpoint_every": 150,
    "train.picture_every": 0,
    "train.batch_size": 32,
    "model.width": 8,
    "model.features": 2,
    "evaluate.quality_samples": 0,
    "evaluate.importance_samples": 2,
    "report.tensorboard": False,
}


def start(workdir, devices: int = 1, further: tuple[str, ...] = (), name: str = "alone") -> subprocess.Popen:
    config = [f"--config.{key}={value}" for key, value in TINY.items()]
    command = [sys.executable, "launch.py", "--config=configs/shapes_gaussian.py", f"--workdir={workdir}", *config]
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment |= {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}
    with open(f"{workdir}.{name}", "w") as told:
        return subprocess.Popen([*command, *further], cwd=ROOT, env=environment, stdout=told, stderr=told)


def start_several(workdir, count: int, devices: int = 1) -> list[subprocess.Popen]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = ("--distributed", f"--coordinator={address}", f"--processes={count}")
    return [start(workdir, devices, (*flags, f"--process={number}"), str(number)) for number in range(count)]


def ends(processes: list[subprocess.Popen]) -> list[int]:
    return [process.wait(timeout=500) for process in processes]


def told(workdir, name) -> list[str]:
    return Path(f"{workdir}.{name}").read_text().splitlines()


def wait_for(workdir, words: str) -> None:
    deadline = time.monotonic() + 200
    while not any(words in line for line in told(workdir, "0")):
        assert time.monotonic() < deadline, told(workdir, "0")
        time.sleep(0.05)


def assert_same_run(workdir, other) -> None:
    """To rounding: sums over devices come in another order."""
    one, two = ctc_jax.load(workdir, "latest"), ctc_jax.load(other, "latest")
    assert one.step == two.step == STEPS
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4), one.params, two.params)
    for split in ("train", "validation", "test"):
        curves = [
            {line["step"]: line["elbo_nats"] for line in run.history if line["split"] == split} for run in (one, two)
        ]
        assert curves[0].keys() == curves[1].keys() != set()
        np.testing.assert_allclose(list(curves[0].values()), list(curves[1].values()), rtol=1e-4)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process with one device."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    assert start(workdir).wait(timeout=500) == 0
    return workdir


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "devices"), [(4, 1), (2, 2)])
def test_several_processes_do_the_run_of_one(tmp_path, alone, processes, devices):
    workdir = tmp_path / "run"
    assert ends(start_several(workdir, processes, devices)) == [0] * processes
    assert_same_run(workdir, alone)
    assert any("evaluating" in line for line in told(workdir, 0))
    for other in range(1, processes):
        assert told(workdir, other) == []  # one of them tells


@pytest.mark.slow
def test_when_one_is_killed_all_end_and_when_one_is_signaled_all_save_one_step(tmp_path, alone):
    workdir = tmp_path / "run"
    for killed in (1, 0):
        processes = start_several(workdir, 2)
        wait_for(workdir, f"step {200 if killed else 350}/")
        # The worker, not the process that watches it: as if the host were gone, for the other one.
        children = Path(f"/proc/{processes[killed].pid}/task/{processes[killed].pid}/children").read_text()
        os.kill(int(children), signal.SIGKILL)
        assert ends(processes)[1 - killed] == SAVED_EXIT_CODE
        assert told(workdir, 1 - killed)[-1] == f"error: {GONE}"
        assert not any("***" in line for line in told(workdir, 1 - killed))  # no trace of C++
    processes = start_several(workdir, 2)
    wait_for(workdir, "step 400/")
    processes[1].send_signal(signal.SIGTERM)
    assert ends(processes) == [SAVED_EXIT_CODE] * 2
    assert [line for line in told(workdir, 0) if line.startswith("saved step")]
    assert start(workdir).wait(timeout=500) == 0  # on another number of processes
    one, two = ctc_jax.load(workdir, "latest"), ctc_jax.load(alone, "latest")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4), one.params, two.params)


@pytest.mark.slow
def test_a_process_whose_others_do_not_come_says_so(tmp_path):
    workdir = tmp_path / "run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = ("--distributed", f"--coordinator={address}", "--processes=2", "--process=1", "--wait_s=3")
    assert start(workdir, further=flags).wait(timeout=100) == SAVED_EXIT_CODE
    assert told(workdir, "alone") == [f"error: {APART}"]
    assert not workdir.exists()
