"""What `launch.py` does: one call for each mode, an exit code back. Tests: tests/cli/test_modes.py.

Exit codes: 0 done; 1 a run of a sweep failed; 2 something the user can mend, said in one line; 3 training diverged:
two steps in a row or the last validation bound were not finite; 75 interrupted and saved, to go on with the same
command.
"""

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import ml_collections
from absl import logging

from ctc_jax import data, evaluation, runs, training
from ctc_jax.errors import SAVED_EXIT_CODE, choose
from ctc_jax.reporting import REPORT, MetricWriter, is_done, read_history, write_report
from ctc_jax.reporting.units import describe
from ctc_jax.run import Run, check_data, describe_images, load, read_images
from ctc_jax.training import Outcome
from ctc_jax.training.host_cores import use_host_cores
from ctc_jax.training.host_memory import keep_host_memory

EXIT_CODES = {Outcome.FINISHED: 0, Outcome.INTERRUPTED: SAVED_EXIT_CODE, Outcome.DIVERGED: 3}
HEADLINE = ("bound_bpd", "importance_bound_bpd", "elbo_nats", "importance_bound_nats")


def execute(config: ml_collections.ConfigDict, *, workdir: str, mode: str, command: list[str]) -> int:
    """Runs one mode and returns the exit code.

    Args:
      config: the whole config.
      workdir: directory of the run.
      mode: train, evaluate, sample or report.
      command: the command line, for provenance and for saying how to go on.

    Raises:
      UserError: something the user can mend.
    """
    act = choose(MODES, mode, "mode")
    logging.set_verbosity(logging.WARNING)  # JAX reports each accelerator that is not there
    use_compilation_cache()
    keep_host_memory()
    use_host_cores(config.train.cpu_devices, config.train.batch_size)
    if mode != "train":
        runs.read_config(Path(workdir))  # refuses a directory without a run before anything is made there
    free = () if mode == "train" else ("evaluate", "report", *data.WHERE)
    with runs.claim(Path(workdir), config.to_dict(), free=free) as claimed, _signals() as signals:
        try:
            return act(config, claimed, signals, command)
        except KeyboardInterrupt:
            print(f"interrupted; go on with: {shlex.join(command)}", file=sys.stderr)
            return SAVED_EXIT_CODE


def use_compilation_cache() -> None:
    """Keeps compiled programs between processes, in $JAX_COMPILATION_CACHE_DIR or the user's cache directory."""
    if not jax.config.jax_compilation_cache_dir:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(home / "ctc_jax" / "compiled"))


class _Signals:
    """SIGTERM and Ctrl-C: noted between training steps, raised as KeyboardInterrupt elsewhere."""

    def __init__(self) -> None:
        self.requested = False
        self.deferred = False

    def __call__(self, number: int, frame: object) -> None:
        if self.requested or not self.deferred:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def _signals() -> Iterator[_Signals]:
    handler = _Signals()
    previous = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield handler
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def _train(config: ml_collections.ConfigDict, workdir: Path, signals: _Signals, command: list[str]) -> int:
    if is_done(read_history(workdir), config.train.steps):
        if not (workdir / REPORT).exists():  # stopped between the figures and it
            return _sample(config, workdir, signals, command)
        run = load(workdir)
        print(f"this run is finished: {_summary(run)}; its report is {workdir / REPORT}")
        return 0
    experiment = training.build(config)
    runs.begin(workdir, config.to_dict(), describe_images(experiment.space, experiment.dataset), command)
    check_data(*read_images(workdir), experiment.dataset)
    signals.deferred = True
    outcome = training.train(experiment, workdir, interrupted=lambda: signals.requested)
    signals.deferred = False
    if outcome is Outcome.INTERRUPTED or signals.requested:
        saved = training.Checkpoints(workdir / "checkpoints")
        print(f"saved step {saved.steps[-1]:,}; go on with: {shlex.join(command)}", file=sys.stderr)
        saved.close()
        return SAVED_EXIT_CODE
    if outcome is Outcome.FINISHED:
        return _evaluate(config, workdir, signals, command)
    return EXIT_CODES[outcome]


def _evaluate(config: ml_collections.ConfigDict, workdir: Path, signals: _Signals, command: list[str]) -> int:
    run = _loaded(config, workdir)
    print(f"evaluating step {run.step:,} on {len(run.dataset.test):,} test images", flush=True)
    numbers = run.evaluate(config.evaluate)
    writer = MetricWriter(workdir, tensorboard=config.report.tensorboard, wandb_project=config.report.wandb_project)
    writer.write(run.step, "test", numbers)
    writer.close()
    for name, value in numbers.items():
        print(f"  {describe(name, value)}")
    for sentence in evaluation.collapsed(numbers):
        print(f"note: {sentence}")
    return _sample(config, workdir, signals, command)


def _sample(config: ml_collections.ConfigDict, workdir: Path, signals: _Signals, command: list[str]) -> int:
    run = _loaded(config, workdir)
    evaluation.draw_pictures(
        run.model,
        run.params,
        run.dataset.test,
        workdir / "samples",
        levels=2**run.space.bits - 1,
        seed=run.config.seed,
    )
    return _report(config, workdir, signals, command)


def _report(config: ml_collections.ConfigDict, workdir: Path, signals: _Signals, command: list[str]) -> int:
    history = read_history(workdir)
    tested = [line for line in history if line["split"] == "test"]
    summary = {name: value for name, value in (tested or [{}])[-1].items() if name not in ("step", "split")}
    path = workdir / REPORT
    write_report(
        path,
        title=workdir.name,
        summary=summary,
        history=history,
        config=runs.read_config(workdir),
        provenance=runs.read_json(workdir / "provenance.json"),
        pictures=evaluation.captioned(workdir / "samples"),
        notes=evaluation.collapsed(summary),
    )
    print(f"report: {path}")
    return 0


MODES = {"train": _train, "evaluate": _evaluate, "sample": _sample, "report": _report}


def _loaded(config: ml_collections.ConfigDict, workdir: Path) -> Run:
    """The run, with its data where the config at hand says that they are now."""
    run = load(workdir)
    run.config.data = config.data
    return run


def _summary(run: Run) -> str:
    tested = [line for line in run.history if line["split"] == "test"][-1]
    return ", ".join(describe(name, tested[name]) for name in HEADLINE if name in tested)
