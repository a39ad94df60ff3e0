"""The jobs of a sweep that are under way. Tests: tests/sweeps/test_execute.py."""

import dataclasses
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import ml_collections

from ctc_jax.errors import UserError
from ctc_jax.options import flatten
from ctc_jax.reporting import is_done, read_history
from ctc_jax.sweeps import saved_config
from ctc_jax.sweeps.executors import TOKEN, Executor
from ctc_jax.sweeps.expand import Trial
from ctc_jax.sweeps.job import Job
from ctc_jax.sweeps.ledger import Ledger, Submission, write_whole

POLL_SECONDS = 0.2


@dataclasses.dataclass
class _Running:
    """A run's job that has not ended yet.

    Attributes:
      adopted: another launcher submitted it.
      lost_at: since when it is nowhere, though it noted no exit code; None where it is somewhere.
    """

    trial: Trial
    submission: Submission
    executor: Executor
    adopted: bool
    lost_at: float | None = None


class RunningJobs:
    """The jobs that are under way.

    Args:
      root: folder of the sweep.
      config: what the trials' overrides change.
      executor: what new jobs are given to.
      command: what a run starts with.
    """

    def __init__(self, root: Path, config: ml_collections.ConfigDict, executor: Executor, command: Sequence[str]):
        self.root, self.config, self.executor, self.command = root, config, executor, tuple(command)
        self.ledger = Ledger(root / "jobs")
        self.running: dict[str, _Running] = {}

    def adopt(self, trial: Trial, submission: Submission, executor: Executor) -> bool:
        """Follows a job that another launcher submitted; False, and it is forgotten, where it has ended.

        Raises:
          UserError: it works with another config than this sweep has.
        """
        noted = self.ledger.exit_code(trial.name, submission) is not None
        young = time.time() - submission.noted_at < executor.grace_seconds
        if not executor.alive(submission, noted) and (noted or not young):
            self.ledger.erase(trial.name, submission)
            return False
        old, new = (flatten(json.loads(text)) for text in (self._saved(trial).read_text(), self._text(trial)))
        if differing := sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)):
            raise UserError(
                f"{trial.name} is still at work with another config, which differs in {', '.join(differing)}; wait for "
                f"it, or end job {submission.job_id or 'of its name'} (executor {submission.executor})"
            )
        executor.adopt(submission)
        self.running[trial.name] = _Running(trial, submission, executor, adopted=True)
        return True

    def submit(self, trial: Trial) -> None:
        """Notes a job, then hands it over."""
        name, submission = trial.name, self.executor.new()
        write_whole(self._saved(trial), self._text(trial))
        config = f"{saved_config.__file__}:{self._saved(trial)}"
        arguments = [*self.command, f"--config={config}", f"--workdir={self.root / name}"]
        log, note = self.root / "logs" / f"{name}.log", self.ledger.exit_note(name, submission)
        job = Job(arguments, log, note, local=self.executor.here, cores=submission.cores)
        self.ledger.write(name, submission)
        os.environ[TOKEN] = submission.token
        try:
            job_id = self.executor.submit(job, submission)
        finally:
            del os.environ[TOKEN]
        submission = dataclasses.replace(submission, job_id=job_id)
        self.ledger.write(name, submission)
        self.running[name] = _Running(trial, submission, self.executor, adopted=False)

    def collect(self) -> Iterator[tuple[Trial, int | None, bool]]:
        """The jobs that have ended: trial, exit code, and whether another launcher had submitted it.

        The code is 0 for a job that was lost after its run was done, and None where it was lost before.
        """
        for name, one in list(self.running.items()):
            exit_code = self.ledger.exit_code(name, one.submission)
            if one.executor.alive(one.submission, noted=exit_code is not None):
                one.lost_at = None
                continue
            if exit_code is None:
                one.lost_at = time.monotonic() if one.lost_at is None else one.lost_at
                if time.monotonic() - one.lost_at < one.executor.grace_seconds:
                    continue
                exit_code = 0 if self._done(name) else None
            self._forget(name)
            yield one.trial, exit_code, one.adopted

    def stop(self) -> dict[str, int | None]:
        """Asks all to save and end, and waits for those on this machine; an interrupt meanwhile kills them.

        Returns:
          The exit code of each; None of those that are not waited for.
        """
        local = [name for name, one in self.running.items() if one.executor.here]
        codes = dict.fromkeys(self.running)
        for _ in range(2):
            for one in self.running.values():
                one.executor.stop(one.submission)
            try:
                while any(name in self.running for name in local):
                    codes.update({trial.name: exit_code for trial, exit_code, _ in self.collect()})
                    time.sleep(POLL_SECONDS)
                return codes
            except KeyboardInterrupt:
                print("killing the runs", flush=True)
        return codes

    def _forget(self, name: str) -> None:
        self.ledger.erase(name, self.running.pop(name).submission)

    def _done(self, name: str) -> bool:
        """Whether the run's figures say that it is done."""
        try:
            config = json.loads((self.root / "configs" / f"{name}.json").read_text())
            return is_done(read_history(self.root / name), config["train"]["steps"])
        except (OSError, ValueError, KeyError, TypeError, UserError):
            return False

    def _saved(self, trial: Trial) -> Path:
        return self.root / "configs" / f"{trial.name}.json"

    def _text(self, trial: Trial) -> str:
        return saved_config.text(self.config, trial.overrides)
