"""What `launch.py` does: one call for each mode, an exit code back. Tests: tests/cli/test_modes.py.

Exit codes: 0 done; 1 a run of a sweep failed; 2 something the user can mend, said in one line; 3 training diverged:
two steps in a row or the last validation bound were not finite; 75 interrupted and saved, to go on with the same
command.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import ml_collections
from absl import logging

from ctc_jax import data, evaluation, process, runs, training
from ctc_jax.cli import interrupts
from ctc_jax.data import Dataset
from ctc_jax.errors import DIVERGED_EXIT_CODE, SAVED_EXIT_CODE, ConfigError, UserError, choose
from ctc_jax.models import Params
from ctc_jax.options import flatten, is_chosen
from ctc_jax.reporting import REPORT, MetricWriter, is_done, overview, read_history, write_report
from ctc_jax.reporting.latent_groups import grouped
from ctc_jax.reporting.units import describe
from ctc_jax.run import Run, load
from ctc_jax.saved_run import check_data, describe_images, read_images
from ctc_jax.training import Outcome
from ctc_jax.training.host_cores import use_host_cores
from ctc_jax.training.host_memory import keep_host_memory

DESCRIBE = "describe"  # the mode of no run: it needs no directory, and makes none
HEADLINE = ("bound_bpd", "importance_bound_bpd", "elbo_nats", "importance_bound_nats")


def execute(
    config: ml_collections.ConfigDict, *, defaults: Mapping[str, Any], workdir: Path, mode: str, command: list[str]
) -> int:
    """Runs one mode and returns the exit code.

    Args:
      config: the whole config.
      defaults: of its keys, dotted; a run whose config lacks one has the default.
      workdir: directory of the run.
      mode: train, evaluate, sample, report or describe.
      command: the command line, for provenance and for saying how to go on.

    Raises:
      UserError: something the user can mend.
      KeyboardInterrupt: the user asked to end where nothing was to be saved.
    """
    stages = choose(MODES, mode, "mode")
    logging.set_verbosity(logging.WARNING)  # JAX reports each accelerator that is not there
    use_compilation_cache()
    keep_host_memory()
    use_host_cores(config.train.cpu_devices, config.train.batch_size)
    if jax.distributed.is_initialized():
        check_backend()
        if not process.is_leader():
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if mode == DESCRIBE:
        check_backend()
        print("\n".join(training.describe(config).lines()))
        return 0
    if mode != "train":
        runs.read_config(workdir)  # refuses a directory without a run before anything is made there
    free = () if mode == "train" else ("evaluate", "inference", "report", *data.WHERE)
    with (
        interrupts.noted() as signals,
        runs.claim(workdir, config.to_dict(), free=free, defaults=defaults) as claimed,
    ):
        work = _Work(config, claimed, signals, command, defaults)
        try:
            codes = (stage(work) for stage in stages)
            return next((code for code in codes if code is not None), 0)
        except KeyboardInterrupt:
            print(f"interrupted; go on with: {shlex.join(command)}", file=sys.stderr)
            raise


def use_compilation_cache() -> None:
    """Keeps compiled programs between processes, in $JAX_COMPILATION_CACHE_DIR or the user's cache directory."""
    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(home / "ctc_jax" / "compiled"))


def check_backend() -> None:
    """Starts JAX on the devices that it was told to use.

    Raises:
      UserError: $JAX_PLATFORMS names some that cannot be had here.
    """
    try:
        jax.devices()
    except RuntimeError as error:
        asked = jax.config.jax_platforms  # type: ignore[attr-defined]
        raise UserError(f"JAX finds no devices of JAX_PLATFORMS={asked}: {str(error).splitlines()[0]}") from None


@dataclass
class _Work:
    """What the stages of one call share.

    Attributes:
      config: the whole config.
      workdir: the claimed directory.
      signals: whether the user asks to end.
      command: the command line.
      defaults: of the config, by dotted key.
      dataset: the run's data, where training has loaded them.
      evaluated: whether the test figures are written already.
    """

    config: ml_collections.ConfigDict
    workdir: Path
    signals: interrupts.Interrupts
    command: list[str]
    defaults: Mapping[str, Any]
    dataset: Dataset | None = None
    evaluated: bool = False

    @cached_property
    def run(self) -> Run:
        """The trained run, restored once, with its data where the config at hand says that they are now, and with the
        method of inference that it names."""
        check_backend()
        run = load(self.workdir)
        run.config.data, run.config.inference = self.config.data, self.config.inference
        return replace(run, known_dataset=self.dataset)


def _train(work: _Work) -> int | None:
    config, workdir = work.config, work.workdir
    history = read_history(workdir)
    if process.leaders(is_done(history, config.train.steps)):
        if process.leaders((workdir / REPORT).exists()):
            print(f"this run is finished: {_summary(history)}; its report is {workdir / REPORT}")
            return 0
        work.evaluated = True  # stopped between the figures and the report
        return None
    check_backend()  # not before: a finished run says so at once
    # Before anything is written; a run that goes on from a checkpoint of its own no longer needs it.
    start = None if any((workdir / "checkpoints").glob("[0-9]*")) else _start(config.train.start_from)
    experiment = training.build(config)
    for line in (*training.heading(config, experiment), f"workdir: {workdir}", "compiling"):
        print(line, flush=True)
    if not (workdir / "config.json").exists():
        training.compile_first_call(experiment)  # a step that does not fit leaves no run
    runs.begin(workdir, config.to_dict(), describe_images(experiment.space, experiment.dataset), work.command)
    process.wait_for_all("the run's files are written")
    check_data(*read_images(workdir), experiment.dataset)
    work.dataset = experiment.dataset
    work.signals.deferred = True
    outcome = training.train(experiment, workdir, interrupted=lambda: work.signals.requested, start=start)
    work.signals.deferred = False
    if outcome is Outcome.INTERRUPTED or process.any_of_all(work.signals.requested):
        saved = training.Checkpoints(workdir / "checkpoints")
        print(f"saved step {saved.steps[-1]:,}; go on with: {shlex.join(work.command)}", file=sys.stderr)
        saved.close()
        return SAVED_EXIT_CODE
    return None if outcome is Outcome.FINISHED else DIVERGED_EXIT_CODE


def _start(workdir: str) -> Params | None:
    """The parameters that training starts from."""
    if not workdir:
        return None
    try:
        return load(workdir).params
    except UserError as error:
        raise ConfigError("train.start_from", workdir, f"the directory of a trained run: {error}") from None


def _evaluate(work: _Work) -> None:
    if work.evaluated:
        return
    run, report = work.run, work.config.report
    print(f"evaluating step {run.step:,} on {len(run.dataset.test):,} test images", flush=True)
    numbers = run.evaluate(work.config.evaluate, pictures=work.workdir / "samples")
    config = flatten(run.config.to_dict())
    with contextlib.closing(
        MetricWriter(work.workdir, tensorboard=report.tensorboard, wandb_project=report.wandb_project)
    ) as writer:
        writer.write(run.step, "test", numbers)
        used = {key: value for key, value in config.items() if is_chosen(config, key)}
        writer.hparams(used, "test", [name for name in numbers if "/" not in name])
    for name, value in grouped(numbers).items():
        print(f"  {describe(name, value)}")
    for sentence in evaluation.notes(numbers):
        print(f"note: {sentence}")


def _sample(work: _Work) -> None:
    run, levels = work.run, 2**work.run.space.bits - 1
    folder = work.workdir / "samples"
    for draw in (evaluation.draw_pictures, evaluation.draw_code_pictures):
        draw(run.model, run.params, run.dataset.test, folder, levels=levels, seed=run.config.seed)
    report = work.config.report
    with contextlib.closing(
        MetricWriter(work.workdir, tensorboard=report.tensorboard, wandb_project=report.wandb_project)
    ) as writer:
        for picture in evaluation.captioned(folder):
            if picture.path.suffix != ".svg":
                writer.image(run.step, picture.path.stem, picture.path)


def _report(work: _Work) -> None:
    workdir = work.workdir
    history = read_history(workdir)
    tested = [line for line in history if line["split"] == "test"]
    summary = {name: value for name, value in (tested or [{}])[-1].items() if name not in ("step", "split")}
    config, provenance = runs.read_config(workdir), runs.read_json(workdir / "provenance.json")
    space, _ = read_images(workdir)
    path = workdir / REPORT
    write_report(
        path,
        title=workdir.name,
        summary=summary,
        history=history,
        config=config,
        provenance=provenance,
        pictures=evaluation.captioned(workdir / "samples"),
        notes=evaluation.notes(summary),
        defaults=work.defaults,
        about=overview(flatten(config), space.shape, space.bits, history, provenance),
    )
    print(f"report: {path}")


# Stages in order; one that returns an exit code is the last.
MODES = {
    "train": (_train, _evaluate, _sample, _report),
    "evaluate": (_evaluate, _sample, _report),
    "sample": (_sample, _report),
    "report": (_report,),
    DESCRIBE: (),
}


def _summary(history: Sequence[Mapping[str, Any]]) -> str:
    tested = [line for line in history if line["split"] == "test"][-1]
    return ", ".join(describe(name, tested[name]) for name in HEADLINE if name in tested)
