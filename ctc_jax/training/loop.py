"""The training loop: restore, step, log, validate, save. Tests: tests/training/test_loop.py."""

import contextlib
import enum
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ctc_jax.errors import ConfigError
from ctc_jax.evaluation import bits_per_dimension, draw_pictures, evaluate_elbo
from ctc_jax.models import Params
from ctc_jax.reporting import MetricWriter, Picture, Progress, truncate_history
from ctc_jax.training.checkpoint import Checkpoints
from ctc_jax.training.experiment import Experiment
from ctc_jax.training.mesh import replicated
from ctc_jax.training.step import MAXIMUM_BAD_STEPS, TrainState, first_bad
from ctc_jax.training.votes import Votes
from ctc_jax.training.warm_start import warm_started

# Calls sent ahead of the one that is done: the device never waits for the host, and a signal is soon heard.
CALLS_AHEAD = 2

# Steps that were not finite and are told one by one, of those since the last log.
TOLD_BAD_STEPS = 3

ADVICE = "try a lower train.learning_rate or a train.clip_norm"


class Outcome(enum.Enum):
    """How training ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"


def train(
    experiment: Experiment,
    workdir: Path,
    *,
    interrupted: Callable[[], bool] = lambda: False,
    start: Params | None = None,
    stream: Any = None,
) -> Outcome:
    """Trains from the latest checkpoint, or from the start, to `train.steps`.

    Killed at any moment and called again, it ends with the same bits as if never killed: a step is a function of
    the seed, its number and the state, and metrics past the checkpoint are written anew.

    Args:
      experiment: what to train.
      workdir: gets metrics.jsonl, checkpoints/, samples/ and TensorBoard files.
      interrupted: asked between steps; true saves and ends.
      start: parameters of another run, which those of this one start from where names and shapes agree.
      stream: where progress is shown; standard error when None.

    Raises:
      UserError: no checkpoint of the workdir can be read, or nothing of `start` fits.
    """
    notes: list[str] = []
    checkpoints = Checkpoints(workdir / "checkpoints", notes.append, latest=experiment.train.keep_checkpoints)
    state, elapsed_s, bound = _start(experiment, checkpoints, start, notes)
    first, report = int(state.step), experiment.report
    truncate_history(workdir, first)
    progress = Progress(experiment.train.steps, first_step=first, elapsed_before_s=elapsed_s, stream=stream)
    writer = MetricWriter(workdir, tensorboard=report.tensorboard, wandb_project=report.wandb_project)
    with contextlib.ExitStack() as closing:  # one that cannot be closed does not keep the others open
        for opened in (experiment.stream, progress, writer, checkpoints):
            closing.callback(opened.close)
        for note in notes:
            progress.message(note)
        if int(state.bad_steps) >= MAXIMUM_BAD_STEPS:
            progress.message(f"this run stopped at step {first:,} after two steps in a row that were not finite")
            return Outcome.DIVERGED
        if first < experiment.train.steps:
            outcome, bound = _loop(experiment, state, workdir, checkpoints, writer, progress, interrupted)
            if outcome is not Outcome.FINISHED:
                return outcome
        if bound is not None and not math.isfinite(bound):
            best = f"the best is of step {checkpoints.best:,}" if checkpoints.best is not None else "no other is finite"
            progress.message(f"the validation bound of the last step is {bound}: training diverged; {best}; {ADVICE}")
            return Outcome.DIVERGED
    return Outcome.FINISHED


def _start(
    experiment: Experiment, checkpoints: Checkpoints, start: Params | None, notes: list[str]
) -> tuple[TrainState, float, float | None]:
    """The state to go on from, the seconds of training before it, and the validation bound noted with it."""
    restored = checkpoints.restore(experiment.abstract_state, experiment.sharding)
    if restored is None:
        state = jax.jit(experiment.step.init, out_shardings=experiment.sharding)()
        if start is None:
            return state, 0.0, None
        try:
            state, fresh = warm_started(state, start)
        except ValueError as error:
            raise ConfigError(
                "train.start_from", experiment.train.start_from, f"a run like this one: {error}"
            ) from None
        if fresh:
            notes.append(f"not of train.start_from, and so fresh: {', '.join(fresh)}")
        return jax.device_put(state, experiment.sharding), 0.0, None
    notes.append(f"resuming from the checkpoint of step {int(restored.state.step):,}")
    checkpoints.discard_after(int(restored.state.step))
    return restored


def _loop(
    experiment: Experiment,
    state: TrainState,
    workdir: Path,
    checkpoints: Checkpoints,
    writer: MetricWriter,
    progress: Progress,
    interrupted: Callable[[], bool],
) -> tuple[Outcome, float | None]:
    """Steps up to the last one; how that ended, and the last validation bound."""
    options, bound = experiment.train, None
    step, pending, logged = int(state.step), [], (int(state.step), progress.elapsed_s)
    votes = Votes(interrupted, experiment.mesh, CALLS_AHEAD)
    called: set[int] = set()  # steps of a call

    def due(every: int) -> bool:
        return step % every == 0 or step == options.steps

    while step < options.steps:
        count = _steps_of_next_call(experiment, step)
        before_s, batches = progress.elapsed_s, experiment.stream(step, count)
        if count not in called:
            called.add(count)
            experiment.compiled_step.compiled(state, jax.block_until_ready(batches))
            logged = (logged[0], logged[1] + progress.elapsed_s - before_s)  # compiling is no part of the throughput
        state, metrics = experiment.compiled_step(state, batches)
        step += count
        pending.append(metrics)
        progress.advance(step)
        if len(pending) > CALLS_AHEAD:
            jax.block_until_ready(pending[-1 - CALLS_AHEAD])
        stop = votes()
        if stop or due(options.log_every):
            numbers, bad = _means(
                experiment, step, int(state.step), jax.device_get(pending), logged, progress.elapsed_s
            )
            pending, logged = [], (step, progress.elapsed_s)
            for message in bad:
                progress.message(message)
            if int(state.bad_steps) >= MAXIMUM_BAD_STEPS:
                checkpoints.save(state, elapsed_s=progress.elapsed_s)
                progress.message(
                    f"two steps in a row were not finite: stopped; the last good state is saved as step "
                    f"{int(state.step):,}; {ADVICE}"
                )
                return Outcome.DIVERGED, None
            if numbers:
                writer.write(step, "train", numbers)
                progress.report(step, {k: numbers[k] for k in ("bound_bpd", "images_per_second", "elbo_nats")})
        bound = _validate(experiment, state, step, writer, progress) if due(options.evaluate_every) else None
        if stop or bound is not None or due(options.checkpoint_every):
            checkpoints.save(state, elapsed_s=progress.elapsed_s, bound_bpd=bound)
        if stop and step < options.steps:
            return Outcome.INTERRUPTED, None
        if options.picture_every and step % options.picture_every == 0 and step < options.steps:
            for picture in _draw(experiment, state, workdir / "samples" / f"step-{step:08d}"):
                writer.image(step, picture.path.stem, picture.path)
        if bound is not None:
            logged = (step, progress.elapsed_s)  # validation is no part of the training throughput
    return Outcome.FINISHED, bound


def compile_first_call(experiment: Experiment) -> None:
    """Compiles what a new run calls first, which `train` then does not compile again.

    Raises:
      UserError: a step needs more memory than there is.
    """
    state = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        experiment.abstract_state,
        experiment.sharding,
    )
    experiment.compiled_step.compiled(state, experiment.stream(0, _steps_of_next_call(experiment, 0)))


def _steps_of_next_call(experiment: Experiment, step: int) -> int:
    """A full call, or a single step where a full one would pass something that is due."""
    options, full = experiment.train, experiment.steps_per_call
    intervals = [options.log_every, options.evaluate_every, options.checkpoint_every]
    intervals += [options.picture_every] if options.picture_every else []
    room = min([options.steps - step, *(every - step % every for every in intervals)])
    return full if full <= room else 1


def _means(
    experiment: Experiment,
    step: int,
    done: int,
    pending: list[dict[str, np.ndarray]],
    logged: tuple[int, float],
    elapsed_s: float,
) -> tuple[dict[str, float], list[str]]:
    """Means over the finite steps since the last log, and what is to be said of those that were not finite."""
    metrics = {name: np.concatenate([part[name] for part in pending]) for name in pending[0]}
    first, messages = step - len(metrics["loss_nats"]), []
    metrics = {name: values[: done - first] for name, values in metrics.items()}  # after two bad steps, none is done
    finite = np.all([np.isfinite(values) for values in metrics.values()], axis=0)
    bad = np.flatnonzero(~finite)
    for position in bad[:TOLD_BAD_STEPS]:
        _, name = first_bad({name: values[position : position + 1] for name, values in metrics.items()})
        messages.append(
            f"step {first + position + 1:,}: {name} is {metrics[name][position]}; its update is dropped and the "
            f"state is that of step {first + position:,}"
        )
    if len(bad) > TOLD_BAD_STEPS:
        more, last = len(bad) - TOLD_BAD_STEPS, first + bad[-1] + 1
        messages.append(f"{more} more steps up to step {last:,} were not finite; their updates are dropped as well")
    if skipped := int(np.sum(metrics.get("skipped_share", np.zeros(1)) > 0)):
        messages.append(
            f"{skipped} of the {done - first} steps up to {done:,} were skipped: their gradients are spikes"
        )
    if not finite.any():
        return {}, messages
    numbers = {name: float(np.mean(values[finite], dtype=np.float64)) for name, values in metrics.items()}
    seconds = max(elapsed_s - logged[1], 1e-9)
    return {
        "bound_bpd": bits_per_dimension(numbers["elbo_nats"], experiment.model.image_shape),
        **numbers,
        "images_per_second": (step - logged[0]) * experiment.train.batch_size / seconds,
        "elapsed_seconds": elapsed_s,
    }, messages


def _validate(experiment: Experiment, state: TrainState, step: int, writer: MetricWriter, progress: Progress) -> float:
    numbers = evaluate_elbo(
        experiment.model,
        state.evaluated,
        experiment.dataset.validation,
        batch_size=experiment.evaluate.batch_size,
        seed=experiment.seed,
        sharding=replicated(experiment.mesh),
    )
    writer.write(step, "validation", numbers)
    averaged = " of the averaged parameters" if experiment.train.ema_decay else ""
    bound = numbers["bound_bpd"]
    if math.isfinite(bound):
        said = f"{bound:.4f} bpd, {numbers['elbo_nats']:.2f} nats"
    else:
        said = f"is {bound}: this checkpoint cannot be the best"
    progress.message(f"step {step:,}: validation bound{averaged} {said}")
    return bound


def _draw(experiment: Experiment, state: TrainState, folder: Path) -> list[Picture]:
    return draw_pictures(
        experiment.model,
        state.evaluated,
        experiment.dataset.validation,
        folder,
        levels=2**experiment.dataset.bits - 1,
        seed=experiment.seed,
    )
