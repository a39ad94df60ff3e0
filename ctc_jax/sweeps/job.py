"""One run as a process that submitit starts, here or in a cluster's job. Tests: test_job.py."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctc_jax.sweeps.ledger import write_whole

SAVE_SECONDS = 60.0  # a job about to be taken off its machine waits this long for its command to save


class Job:
    """Calling it runs the command, output appended to the log, notes the exit code in a file and returns it.

    On this machine a first SIGTERM is passed on, so that the command saves and ends; a second one kills it. In a Slurm
    job Slurm itself signals the command. When Slurm's time limit nears, the command is asked to save and the job
    queues again: the same command goes on where it stopped.

    Args:
      command: program and arguments.
      log: file that standard output and error are appended to.
      note: file for the exit code; absent while the command runs, also in a job that was queued again.
      local: on this machine, not in a Slurm job.
      cores: the command is to run on; none are those of this process.
    """

    def __init__(self, command: Sequence[str], log: Path, note: Path, *, local: bool, cores: Sequence[int] = ()):
        self.command, self.log, self.note, self.local, self.cores = tuple(command), log, note, local, tuple(cores)
        # submitit's local executor hides all GPUs from its jobs; the command is to see those that we see.
        self.visible_gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
        self._process: subprocess.Popen | None = None
        self._stops = 0

    def __call__(self) -> int:
        """Runs the command to its end; its exit code, or minus the signal that ended it."""
        self.note.unlink(missing_ok=True)
        environment = dict(os.environ, PYTHONUNBUFFERED="1")
        if self.local:
            environment.pop("CUDA_VISIBLE_DEVICES", None)
            if self.visible_gpus is not None:
                environment["CUDA_VISIBLE_DEVICES"] = self.visible_gpus
            signal.signal(signal.SIGTERM, self._stop)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=self.local,  # a terminal's Ctrl-C reaches the sweep alone, which then sends SIGTERM
                preexec_fn=self._prepare,
            )
            if self._stops:  # asked while it was starting
                self._process.terminate()
            while self._process.poll() is None:  # a blocking wait would hold a lock that a signal's handler needs
                time.sleep(0.05)
        write_whole(self.note, str(self._process.returncode))
        return self._process.returncode

    def checkpoint(self) -> Any:
        """What submitit is to queue again after the time limit; asks the command to save first."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            deadline = time.monotonic() + SAVE_SECONDS
            while self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
        return DelayedSubmission(Job(self.command, self.log, self.note, local=self.local, cores=self.cores))

    def _stop(self, signal_number: int, frame: Any) -> None:
        self._stops += 1
        if self._process is not None:
            (self._process.terminate if self._stops == 1 else self._process.kill)()

    def _prepare(self) -> None:
        """The command answers Ctrl-C again, and Slurm's warning (SIGUSR2, meant for submitit) does not end it."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        if self.cores:
            os.sched_setaffinity(0, self.cores)
