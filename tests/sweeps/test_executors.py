import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from ctc_jax.sweeps.executors import TOKEN, Local, Slurm, core_shares
from ctc_jax.sweeps.ledger import Submission


@pytest.mark.parametrize(
    ("cores", "runs", "shares"),
    [
        ({0, 1}, 2, [(0,), (1,)]),
        ({4, 5, 6, 7, 9}, 2, [(4, 5), (6, 7, 9)]),
        (set(range(8)), 3, [(0, 1), (2, 3, 4), (5, 6, 7)]),
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


def sleeper(token):
    code = "print(1, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={TOKEN: token}
    )
    process.stdout.readline()  # it has begun
    return process


def test_a_job_is_found_by_its_token_until_it_has_ended_or_noted_its_end(tmp_path):
    executor, submission = Local(tmp_path, {}, 1), Submission("local")
    assert not executor.alive(submission, noted=False)
    with sleeper(submission.token) as process:
        assert executor.alive(submission, noted=False)
        assert not executor.alive(submission, noted=True)
        assert not executor.alive(Submission("local"), noted=False)
        assert not executor.alive(dataclasses.replace(submission, host="another machine"), noted=False)
        executor.stop(submission)
        assert process.wait() == -signal.SIGTERM
    assert not executor.alive(submission, noted=False)


def test_cores_of_a_job_that_is_taken_over_are_not_given_away(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    executor = Local(tmp_path, {}, 2)
    executor.adopt(Submission("local", cores=(0, 1)))
    assert executor.new().cores == (2, 3)
    executor.adopt(Submission("local", cores=(2, 3)))
    assert executor.new().cores == ()


# Stands in for squeue: prints the file beside it, or fails where there is none.
SQUEUE = '#!/bin/sh\ncat "$(dirname "$0")/queue" 2>/dev/null\n'


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """The text that the stand-in prints; any command of Slurm that is looked for exists."""
    for name in ("squeue", "srun"):
        (tmp_path / name).write_text(SQUEUE)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("ctc_jax.sweeps.executors.QUEUE_SECONDS", -1.0)
    return tmp_path / "queue"


def test_a_slurm_job_is_alive_while_the_queue_has_its_token(tmp_path, queue):
    executor, submission = Slurm(tmp_path / "folder", {"name": "a-b"}, 1), Submission("slurm")
    queue.write_text(f"12 other\n13 a-b-{submission.token}\n")
    assert executor.alive(submission, noted=False)
    assert executor.alive(submission, noted=True)  # it saved, and is queued again
    queue.write_text("12 other\n")
    assert not executor.alive(submission, noted=True)


def test_a_slurm_that_does_not_answer_has_ended_no_job(tmp_path, queue):
    assert Slurm(tmp_path / "folder", {}, 1).alive(Submission("slurm"), noted=False)
