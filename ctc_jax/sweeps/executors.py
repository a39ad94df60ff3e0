"""Where the jobs of a sweep run: processes of this machine, or Slurm's queue. Tests: test_executors.py, test_slurm.py.

Jobs are found again by the token of their submission, so that a launcher can follow those of a killed one.
"""

import abc
import contextlib
import os
import platform
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ctc_jax.errors import UserError
from ctc_jax.sweeps import kubernetes
from ctc_jax.sweeps.job import Job
from ctc_jax.sweeps.ledger import Submission

TOKEN = "CTC_JAX_SWEEP_TOKEN"  # in the environment of a job's processes
REQUEUES = 1000
QUEUE_SECONDS = 5.0  # Slurm's controller is asked no more often


class Executor(abc.ABC):
    """Submits jobs, and says which of them are still to end.

    Args:
      folder: submitit's files.
      resources: submitit's parameters.
      parallel: jobs at once on this machine.

    Raises:
      UserError: it cannot be had here, or the resources are wrong.
    """

    name: ClassVar[str]
    minutes: ClassVar[int]  # the time limit where the resources have none
    # A job that is not there and noted no exit code is waited for so long: a file system may show the note late, and a
    # submission that was under way when the launcher was killed may come.
    grace_seconds: ClassVar[float]
    here: ClassVar[bool]  # jobs are processes of this machine

    def __init__(self, folder: Path, resources: Mapping[str, Any], parallel: int):
        import submitit  # late: a run needs none

        resources = {"timeout_min": self.minutes, **resources}
        resources.pop(kubernetes.NAME, None)
        self._title = resources.pop("slurm_job_name", resources.pop("name", "ctc-jax"))
        try:
            self._submitter = submitit.AutoExecutor(folder, cluster=self.name, slurm_max_num_timeout=REQUEUES)
            self._submitter.update_parameters(name=self._title, **resources)
        except RuntimeError as error:
            raise UserError(f"executor {self.name} cannot be had here: {error}") from None
        except (NameError, TypeError, ValueError, AssertionError) as error:
            raise UserError(f"the sweep file's RESOURCES are wrong: {' '.join(str(error).split())}") from None

    def new(self) -> Submission:
        """A submission to be noted before it is made."""
        return Submission(self.name)

    @abc.abstractmethod
    def submit(self, job: Job, submission: Submission) -> str:
        """Starts or queues the job; its number. The environment has the token."""

    @abc.abstractmethod
    def adopt(self, submission: Submission) -> None:
        """Takes over a job that another launcher submitted."""

    @abc.abstractmethod
    def alive(self, submission: Submission, noted: bool) -> bool:
        """Whether the job runs, or waits to run, perhaps again; `noted` tells whether it has noted an exit code."""

    @abc.abstractmethod
    def stop(self, submission: Submission) -> None:
        """Asks the job to save and end; asked again, kills it where it runs here."""


class Local(Executor):
    """Processes of this machine. Those that go at once have a share of the cores each."""

    name = "local"
    minutes = 60 * 24 * 365  # submitit's own limit is two minutes
    grace_seconds = 0.0
    here = True

    def __init__(self, folder: Path, resources: Mapping[str, Any], parallel: int):
        super().__init__(folder, resources, parallel)
        self._shares = core_shares(parallel)
        self._jobs: dict[str, Any] = {}  # submitit's, by token
        self._cores: dict[str, tuple[int, ...]] = {}

    def new(self) -> Submission:
        """A submission with cores that no running job has, where there are shares."""
        taken = {core for cores in self._cores.values() for core in cores}
        free = (share for share in self._shares if not taken.intersection(share))
        return Submission(self.name, cores=next(free, ()))

    def submit(self, job: Job, submission: Submission) -> str:
        """Starts submitit's process, which starts the job; its number."""
        self._cores[submission.token] = submission.cores
        self._jobs[submission.token] = self._submitter.submit(job)
        return self._jobs[submission.token].job_id

    def adopt(self, submission: Submission) -> None:
        """Its cores are taken."""
        self._cores[submission.token] = submission.cores

    def alive(self, submission: Submission, noted: bool) -> bool:
        """Whether one of its processes runs: the command may outlive the one that waits for it to end."""
        ours = self._jobs.get(submission.token)
        if ours is not None and not ours.done():
            return True
        # On another machine a run's own lock keeps it from being worked on twice.
        if not noted and submission.host == platform.node() and _processes(submission):
            return True
        self._cores.pop(submission.token, None)
        return False

    def stop(self, submission: Submission) -> None:
        """Sends SIGTERM, which the job passes on to the command; the second kills that."""
        processes = _processes(submission)
        # Of its processes the one that submitit started, else the oldest.
        heads = [pid for pid in processes if str(pid) == submission.job_id] or processes[:1]
        for pid in heads:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


class Slurm(Executor):
    """Jobs of a cluster. All are queued at once."""

    name = "slurm"
    minutes = 60 * 24  # submitit's own limit is five minutes; at the limit a run saves and queues again
    grace_seconds = 10.0
    here = False

    def __init__(self, folder: Path, resources: Mapping[str, Any], parallel: int):
        super().__init__(folder, resources, parallel)
        self._queue: dict[str, str] | None = {}
        self._asked_at = -QUEUE_SECONDS

    def submit(self, job: Job, submission: Submission) -> str:
        """Queues the job, named with the token; its number."""
        self._submitter.update_parameters(name=f"{self._title}-{submission.token}")
        number = self._submitter.submit(job).job_id
        self._asked_at = -QUEUE_SECONDS  # the queue is another now
        return number

    def adopt(self, submission: Submission) -> None:
        """Nothing to do: the queue knows it."""

    def alive(self, submission: Submission, noted: bool) -> bool:
        """Whether it is in the queue, as one is that ended and will start again, or Slurm does not answer."""
        if time.monotonic() - self._asked_at > QUEUE_SECONDS:
            self._queue, self._asked_at = self._ask(), time.monotonic()
        return self._queue is None or submission.token in self._queue

    def stop(self, submission: Submission) -> None:
        """Cancels it: Slurm sends SIGTERM, and kills what has not ended after its KillWait."""
        number = submission.job_id or (self._ask() or {}).get(submission.token, "")
        if number:
            subprocess.run(["scancel", number], check=False)

    def _ask(self) -> dict[str, str] | None:
        """The numbers of our queued and running jobs by token, those to be queued again too; None without answer."""
        answer = subprocess.run(
            ["squeue", "--me", "--noheader", "--format=%A %j"], capture_output=True, text=True, check=False
        )
        if answer.returncode:
            return None
        lines = (line.split(maxsplit=1) for line in answer.stdout.splitlines())
        return {name.rpartition("-")[2]: number for number, name in lines}


EXECUTORS = {executor.name: executor for executor in (Local, Slurm)}


def core_shares(runs: int) -> list[tuple[int, ...]]:
    """This process's cores in equal shares, one for each of the runs that go at once.

    Processes that all use every core wait for one another: two runs on two cores are faster with a core each.

    Returns:
      Shares whose sizes differ by one at most; none where every run is to have all cores: one at a time, more of them
      than cores, or a system that pins no process.
    """
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    if runs < 2 or runs > len(cores):
        return []
    return [tuple(cores[len(cores) * run // runs : len(cores) * (run + 1) // runs]) for run in range(runs)]


def _processes(submission: Submission) -> list[int]:
    """Numbers of the processes with the submission's token in their environment, oldest first.

    Where a system does not show environments, the job's own process, if there is one of its number.
    """
    if not Path("/proc/self/environ").exists():
        return [int(submission.job_id)] if submission.job_id and _exists(int(submission.job_id)) else []
    word, found = f"{TOKEN}={submission.token}".encode(), []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if word in (process / "environ").read_bytes().split(b"\0"):
                    started = int((process / "stat").read_text().rpartition(")")[2].split()[19])
                    found.append((started, int(process.name)))
            except OSError:  # it has ended, or is another user's
                continue
    return [number for _, number in sorted(found)]


def _exists(number: int) -> bool:
    try:
        os.kill(number, 0)
    except OSError:
        return False
    return True
