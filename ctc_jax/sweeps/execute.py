"""Runs a sweep: one process or Slurm job a run, through submitit. Tests: test_execute.py, test_slurm.py."""

import contextlib
import fcntl
import functools
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import ml_collections

from ctc_jax.errors import SAVED_EXIT_CODE, UserError
from ctc_jax.reporting.progress import format_duration
from ctc_jax.sweeps.executors import EXECUTORS, Executor
from ctc_jax.sweeps.expand import load_sweep
from ctc_jax.sweeps.running_jobs import POLL_SECONDS, RunningJobs
from ctc_jax.sweeps.summary import Outcome, write_summary

PROJECT = Path(__file__).resolve().parents[2]
# -P: the folder in which a sweep is started may have files of the names of our modules.
LAUNCH = (sys.executable, "-P", "-m", "ctc_jax")


def execute(
    config_file: str,
    sweep_file: str,
    *,
    executor: str,
    root: Path,
    config: ml_collections.ConfigDict,
    mode: str = "train",
    parallel: int = 1,
    command: Sequence[str] = LAUNCH,
) -> int:
    """Runs every run of the sweep, then lists the failures; `root/sweep.html` is kept up to date.

    A run is `COMMAND --config=CONFIG --workdir=ROOT/NAME --mode=MODE`; CONFIG stands for `config` with the run's
    overrides, which is written to `ROOT/configs/NAME.json`. Its output is appended to `ROOT/logs/NAME.log`. Local runs
    that go at once have a share of the cores each. Runs that are finished say so and end at once, others go on: doing
    the same sweep again completes it. Runs of a launcher that was killed are found, and waited for. Ctrl-C and SIGTERM
    stop the runs, which save; a second Ctrl-C kills them.

    Args:
      config_file: the experiment's file, perhaps with `:PRESET`; for the page.
      sweep_file: a Python file with `get_overrides()`.
      executor: local or slurm.
      root: folder of the sweep, one folder a run in it.
      config: the config that the runs' overrides change.
      mode: what to do with each run.
      parallel: local runs at once; Slurm is given all.
      command: what a run starts with.

    Returns:
      The exit code: 1 when a run failed, else 75 when one was stopped, else 0.

    Raises:
      UserError: the sweep file or an override is wrong, the executor cannot be had, or the folder cannot be written or
        is at work for another sweep. Nothing was started then.
    """
    sweep = load_sweep(sweep_file, config)
    root = root.absolute()
    if executor not in EXECUTORS:
        raise UserError(f"--executor is {executor!r}; allowed: {', '.join(EXECUTORS)}, and kubernetes with --dry_run")
    with _hold(root):
        outcomes = {trial.name: Outcome("waiting") for trial in sweep.trials}

        def summarize() -> None:
            write_summary(root, config_file=config_file, sweep_file=sweep_file, trials=sweep.trials, outcomes=outcomes)

        @functools.cache
        def executor_named(name: str) -> Executor:
            return EXECUTORS[name](root / ".submitit", sweep.resources, parallel)

        jobs = RunningJobs(root, config, executor_named(executor), [*command, f"--mode={mode}"])
        waiting, started = list(sweep.trials), {}
        for trial in sweep.trials:
            left = jobs.ledger.read(trial.name)
            if left is not None and jobs.adopt(trial, left, executor_named(left.executor)):
                waiting.remove(trial)
                outcomes[trial.name], started[trial.name] = Outcome("running"), time.monotonic()
                print(f"{trial.name} is still at work for an earlier launcher", flush=True)
        at_once = parallel if executor == "local" else len(sweep.trials)
        print(f"sweep of {len(sweep.trials)} runs in {root}, {at_once} at once, executor {executor}", flush=True)
        with signals_interrupt():
            try:
                while waiting or jobs.running:
                    while waiting and len(jobs.running) < at_once:
                        trial = waiting.pop(0)
                        with _job_environment():
                            outcomes[trial.name], started[trial.name] = Outcome("running"), time.monotonic()
                            jobs.submit(trial)
                        summarize()
                    for trial, exit_code, adopted in jobs.collect():
                        if adopted and exit_code in (SAVED_EXIT_CODE, None):  # it was being stopped when we found it
                            waiting.insert(0, trial)
                            outcomes[trial.name] = Outcome("waiting")
                            continue
                        outcomes[trial.name] = _outcome(exit_code)
                        ended = sum(outcome.exit_code is not None for outcome in outcomes.values())
                        duration = format_duration(time.monotonic() - started[trial.name])
                        state = outcomes[trial.name].state
                        print(f"[{ended}/{len(sweep.trials)}] {state} {trial.name} after {duration}", flush=True)
                        summarize()
                    time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                print(f"stopping {len(jobs.running)} runs, which save first; Ctrl-C again kills them", flush=True)
                outcomes.update({name: Outcome("stopped", code) for name, code in jobs.stop().items() if code != 0})
                print("sweep stopped; the same command goes on with it", flush=True)
        summarize()
    print(f"summary: {root / 'sweep.html'}", flush=True)
    failed = [trial.name for trial in sweep.trials if outcomes[trial.name].state == "failed"]
    if failed:
        print(f"{len(failed)} of {len(sweep.trials)} runs failed:", flush=True)
    for name in failed:
        log = root / "logs" / f"{name}.log"
        print(f"  {name}: exit code {outcomes[name].exit_code}, log {log}: {last_line(log)}", flush=True)
    if failed:
        return 1
    return 0 if all(outcome.state == "finished" for outcome in outcomes.values()) else SAVED_EXIT_CODE


def _outcome(exit_code: int | None) -> Outcome:
    """How a run stands whose job has ended by itself."""
    if exit_code == SAVED_EXIT_CODE:
        return Outcome("stopped", exit_code)
    return Outcome("failed" if exit_code != 0 else "finished", -1 if exit_code is None else exit_code)


@contextlib.contextmanager
def _hold(root: Path) -> Iterator[None]:
    """Makes the sweep's folders, and holds them against another launcher.

    Raises:
      UserError: they cannot be written, or are held.
    """
    try:
        for folder in ("configs", "jobs", "logs"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        lock = open(root / ".lock", "a+")  # noqa: SIM115, held open as long as the lock
    except OSError as error:
        raise UserError(f"workdir {root} cannot be written: {error.strerror}; choose another --workdir") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(f"the sweep in {root} is at work already, by {lock.read().strip()}") from None
        except OSError:  # a network file system that has no locks
            pass
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}")
        lock.flush()
        yield


@contextlib.contextmanager
def _job_environment() -> Iterator[None]:
    """What a job inherits: this package can be imported, and a terminal's Ctrl-C is left to the sweep.

    A signal that comes meanwhile interrupts at the end, when the job is known and can be stopped.

    Raises:
      KeyboardInterrupt: at the end, for such a signal.
    """
    before = os.environ.get("PYTHONPATH")
    came: list[int] = []
    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    handlers = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in heard}
    # The job inherits that Ctrl-C is blocked. Here another thread may still take it: hence the handler. Were SIGTERM
    # blocked as well, the job could not be told to stop.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), before] if before else [str(PROJECT)])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            raise KeyboardInterrupt


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGTERM and Ctrl-C raise KeyboardInterrupt, unless whoever started us had them ignored."""
    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in heard}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def last_line(log: Path) -> str:
    """What a run said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "(empty)"
