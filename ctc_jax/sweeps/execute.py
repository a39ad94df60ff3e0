"""Runs a sweep: one process or Slurm job a run, through submitit. Tests: test_execute.py."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import submitit

from ctc_jax.errors import UserError
from ctc_jax.reporting.progress import format_duration
from ctc_jax.sweeps.core_shares import core_shares
from ctc_jax.sweeps.expand import Run, load_sweep
from ctc_jax.sweeps.job import Job
from ctc_jax.sweeps.summary import Outcome, write_summary

EXECUTORS = ("local", "slurm")
LAUNCH = (sys.executable, "launch.py")
LOCAL_MINUTES = 60 * 24 * 365  # submitit's own limit is two minutes
SLURM_MINUTES = 60 * 24  # submitit's own limit is five minutes; at the limit a run saves and queues again
REQUEUES = 1000
POLL_SECONDS = 0.2


def execute(
    config_file: str,
    sweep_file: str,
    *,
    executor: str,
    root: Path,
    parallel: int = 1,
    base_config: Any,
    extra_arguments: Sequence[str] = (),
    command: Sequence[str] = LAUNCH,
) -> int:
    """Runs every run of the sweep, then lists the failures; `root/sweep.html` is kept up to date.

    A run is `COMMAND --config=CONFIG_FILE --workdir=ROOT/NAME EXTRA --config.KEY=VALUE ...`, its output is appended to
    `ROOT/logs/NAME.log`. Local runs that go at once have a share of the cores each. Runs that are finished say so and
    end at once, others go on: doing the same sweep again completes it. Ctrl-C and SIGTERM stop the runs, which save; a
    second Ctrl-C kills them.

    Args:
      config_file: the experiment's file, perhaps with `:PRESET`.
      sweep_file: a Python file with `get_overrides()`.
      executor: local or slurm.
      root: folder of the sweep, one folder a run in it.
      parallel: local runs at once; Slurm is given all.
      base_config: the config that the overrides are checked against.
      extra_arguments: further arguments of every run; the sweep's overrides come after them and so win.
      command: what a run starts with.

    Returns:
      The exit code: 1 when a run failed, else 0, also when the sweep was stopped.

    Raises:
      UserError: the sweep file or an override is wrong, or the executor cannot be had. Nothing was started then.
    """
    sweep = load_sweep(sweep_file, base_config)
    root = root.absolute()
    (root / "logs").mkdir(parents=True, exist_ok=True)
    submitter = _submitter(executor, root / ".submitit", sweep.resources)
    at_once = parallel if executor == "local" else len(sweep.runs)
    free_cores: list[frozenset[int]] = core_shares(parallel) if executor == "local" else []
    cores_of: dict[str, frozenset[int]] = {}
    outcomes = {run.name: Outcome("waiting") for run in sweep.runs}

    def summarize() -> None:
        write_summary(root, config_file=config_file, sweep_file=sweep_file, runs=sweep.runs, outcomes=outcomes)

    def submit(run: Run) -> submitit.Job:
        flags = [f"--config.{key}={value}" for key, value in run.overrides.items()]
        arguments = [*command, f"--config={config_file}", f"--workdir={root / run.name}", *extra_arguments, *flags]
        if free_cores:
            cores_of[run.name] = free_cores.pop(0)
        log, cores = root / "logs" / f"{run.name}.log", cores_of.get(run.name)
        return submitter.submit(Job(arguments, log, local=executor == "local", cores=cores))

    print(f"sweep of {len(sweep.runs)} runs in {root}, {at_once} at once, executor {executor}", flush=True)
    waiting, running, started = list(sweep.runs), {}, {}
    with _sigterm_interrupts():
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    run = waiting.pop(0)
                    with _job_environment():
                        running[run.name], started[run.name] = submit(run), time.monotonic()
                        outcomes[run.name] = Outcome("running")
                    summarize()
                for name in [name for name, job in running.items() if job.done()]:
                    exit_code = _exit_code(running.pop(name))
                    free_cores += [cores_of.pop(name)] if name in cores_of else []
                    outcomes[name] = Outcome("failed" if exit_code else "finished", exit_code)
                    ended = sum(outcome.exit_code is not None for outcome in outcomes.values())
                    duration = format_duration(time.monotonic() - started[name])
                    print(f"[{ended}/{len(sweep.runs)}] {outcomes[name].state} {name} after {duration}", flush=True)
                    summarize()
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            print(f"stopping {len(running)} runs, which save first; Ctrl-C again kills them", flush=True)
            _stop(running, executor)
            outcomes.update({name: Outcome("stopped") for name in running})
            print("sweep stopped; the same command goes on with it", flush=True)
    summarize()
    print(f"summary: {root / 'sweep.html'}", flush=True)
    failed = [run.name for run in sweep.runs if outcomes[run.name].state == "failed"]
    if failed:
        print(f"{len(failed)} of {len(sweep.runs)} runs failed:", flush=True)
    for name in failed:
        log = root / "logs" / f"{name}.log"
        print(f"  {name}: exit code {outcomes[name].exit_code}, log {log}: {_last_line(log)}", flush=True)
    return 1 if failed else 0


def _submitter(executor: str, folder: Path, resources: Mapping[str, Any]) -> submitit.AutoExecutor:
    if executor not in EXECUTORS:
        raise UserError(f"--executor is {executor!r}; allowed: {', '.join(EXECUTORS)}")
    minutes = LOCAL_MINUTES if executor == "local" else SLURM_MINUTES
    try:
        submitter = submitit.AutoExecutor(folder, cluster=executor, slurm_max_num_timeout=REQUEUES)
        submitter.update_parameters(**{"timeout_min": minutes, "name": "ctc-jax", **resources})
    except RuntimeError as error:
        raise UserError(f"executor {executor} cannot be had here: {error}") from None
    except (NameError, ValueError, AssertionError) as error:
        raise UserError(f"the sweep file's RESOURCES are wrong: {' '.join(str(error).split())}") from None
    return submitter


@contextlib.contextmanager
def _job_environment() -> Iterator[None]:
    """What a job inherits: this package can be imported, and a terminal's Ctrl-C is left to the sweep.

    A signal that comes meanwhile interrupts at the end, when the job is known and can be stopped.

    Raises:
      KeyboardInterrupt: at the end, for such a signal.
    """
    before = os.environ.get("PYTHONPATH")
    here = str(Path(__file__).resolve().parents[2])
    came: list[int] = []
    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    handlers = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in heard}
    # The job inherits that Ctrl-C is blocked. Here another thread may still take it: hence the handler. Were SIGTERM
    # blocked as well, the job could not be told to stop.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ["PYTHONPATH"] = os.pathsep.join([here, before] if before else [here])
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
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(running: Mapping[str, submitit.Job], executor: str) -> None:
    """Asks the running jobs to end and waits for it; an interrupt meanwhile kills them."""
    for _ in range(2):
        for job in running.values():
            if executor == "slurm":
                job.cancel()
            elif not job.done():
                os.kill(int(job.job_id), signal.SIGTERM)  # submitit passes it on to the job
        if executor == "slurm":
            return
        try:
            while not all(job.done() for job in running.values()):
                time.sleep(POLL_SECONDS)
            return
        except KeyboardInterrupt:
            print("killing the runs", flush=True)


def _exit_code(job: submitit.Job) -> int:
    """The command's exit code; -1 when its job ended without telling one (killed, or the machine was lost)."""
    try:
        return job.result()
    except Exception as error:
        print(f"job {job.job_id} told no exit code: {str(error).splitlines()[0]}", flush=True)
        return -1


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "(empty)"
