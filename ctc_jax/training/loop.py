"""The training loop: restore, step, log, validate, save. Tests: tests/training/test_loop.py."""

import contextlib
import enum
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ctc_jax.evaluation import bits_per_dimension, draw_pictures, evaluate_elbo
from ctc_jax.reporting import MetricWriter, Progress, truncate_history
from ctc_jax.training.checkpoint import Checkpoints
from ctc_jax.training.experiment import Experiment
from ctc_jax.training.step import MAXIMUM_BAD_STEPS, TrainState, first_bad

# Calls sent ahead of the one that is done: the device never waits for the host, and a signal is soon heard.
CALLS_AHEAD = 2


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
    stream: Any = None,
) -> Outcome:
    """Trains from the latest checkpoint, or from the start, to `train.steps`.

    Killed at any moment and called again, it ends with the same bits as if never killed: a step is a function of
    the seed, its number and the state, and metrics past the checkpoint are written anew.

    Args:
      experiment: what to train.
      workdir: gets metrics.jsonl, checkpoints/, samples/ and TensorBoard files.
      interrupted: asked between steps; true saves and ends.
      stream: where progress is shown; standard error when None.

    Raises:
      UserError: no checkpoint of the workdir can be read.
    """
    return _Training(experiment, workdir, interrupted, stream).run()


class _Training:
    """One process's part of a run."""

    def __init__(self, experiment: Experiment, workdir: Path, interrupted: Callable[[], bool], stream: Any):
        self._experiment, self._workdir, self._interrupted, self._stream = experiment, workdir, interrupted, stream
        self._config = experiment.config.train
        self._levels = 2**experiment.dataset.bits - 1

    def run(self) -> Outcome:
        notes: list[str] = []
        checkpoints = Checkpoints(self._workdir / "checkpoints", notes.append)
        state, elapsed_s = self._restore(checkpoints, notes)
        first = int(state.step)
        truncate_history(self._workdir, first)
        progress = Progress(self._config.steps, first_step=first, elapsed_before_s=elapsed_s, stream=self._stream)
        report = self._experiment.config.report
        writer = MetricWriter(self._workdir, tensorboard=report.tensorboard, wandb_project=report.wandb_project)
        with contextlib.ExitStack() as closing:  # one that cannot be closed does not keep the others open
            for opened in (self._experiment.stream, progress, writer, checkpoints):
                closing.callback(opened.close)
            for note in notes:
                progress.message(note)
            return self._loop(state, checkpoints, writer, progress)

    def _restore(self, checkpoints: Checkpoints, notes: list[str]) -> tuple[TrainState, float]:
        sharding, step = self._experiment.sharding, self._experiment.step
        restored = checkpoints.restore(jax.eval_shape(step.init), sharding)
        if restored is None:
            return jax.jit(step.init, out_shardings=sharding)(), 0.0
        notes.append(f"resuming from the checkpoint of step {int(restored.state.step):,}")
        checkpoints.discard_after(int(restored.state.step))
        return restored.state, restored.elapsed_s

    def _loop(self, state: TrainState, checkpoints: Checkpoints, writer: MetricWriter, progress: Progress) -> Outcome:
        call = jax.jit(self._experiment.step, donate_argnums=0)
        step, pending, logged = int(state.step), [], (int(state.step), progress.elapsed_s)
        if int(state.bad_steps) >= MAXIMUM_BAD_STEPS:
            progress.message(f"this run stopped at step {step:,} after two steps in a row that were not finite")
            return Outcome.DIVERGED
        while step < self._config.steps:
            count = self._calls(step)
            state, metrics = call(state, self._experiment.stream(step, count))
            step += count
            pending.append(metrics)
            progress.advance(step)
            if len(pending) > CALLS_AHEAD:
                jax.block_until_ready(pending[-1 - CALLS_AHEAD])
            stop = self._interrupted()
            if stop or self._due(step, self._config.log_every):
                numbers, bad = self._log(step, jax.device_get(pending), logged, progress)
                pending, logged = [], (step, progress.elapsed_s)
                for message in bad:
                    progress.message(message)
                if int(state.bad_steps) >= MAXIMUM_BAD_STEPS:
                    checkpoints.save(state, elapsed_s=progress.elapsed_s)
                    progress.message(
                        f"two steps in a row were not finite: stopped; the last good state is saved as step "
                        f"{int(state.step):,}; try a lower train.learning_rate or a train.clip_norm"
                    )
                    return Outcome.DIVERGED
                if numbers:
                    writer.write(step, "train", numbers)
                    progress.report(step, {k: numbers[k] for k in ("bound_bpd", "elbo_nats", "images_per_second")})
            bound = None
            if self._due(step, self._config.evaluate_every):
                bound = self._validate(state, step, writer, progress)
            if stop or bound is not None or self._due(step, self._config.checkpoint_every):
                checkpoints.save(state, elapsed_s=progress.elapsed_s, bound_bpd=bound)
            if stop and step < self._config.steps:
                return Outcome.INTERRUPTED
            if self._config.picture_every and step % self._config.picture_every == 0 and step < self._config.steps:
                self._draw(state, step)
            if bound is not None:
                logged = (step, progress.elapsed_s)  # validation is no part of the training throughput
        return Outcome.FINISHED

    def _due(self, step: int, every: int) -> bool:
        return step % every == 0 or step == self._config.steps

    def _calls(self, step: int) -> int:
        """Steps of the next call: a full call, or a single step where a full one would pass something that is due."""
        full = self._experiment.steps_per_call
        intervals = [self._config.log_every, self._config.evaluate_every, self._config.checkpoint_every]
        intervals += [self._config.picture_every] if self._config.picture_every else []
        room = min([self._config.steps - step, *(every - step % every for every in intervals)])
        return full if full <= room else 1

    def _log(
        self, step: int, pending: list[dict[str, np.ndarray]], logged: tuple[int, float], progress: Progress
    ) -> tuple[dict[str, float], list[str]]:
        """Means over the finite steps since the last log, and a message for each one that was not finite."""
        metrics = {name: np.concatenate([part[name] for part in pending]) for name in pending[0]}
        first, messages = step - len(metrics["loss_nats"]), []
        finite = np.all([np.isfinite(values) for values in metrics.values()], axis=0)
        for position in np.flatnonzero(~finite)[:MAXIMUM_BAD_STEPS]:
            _, name = first_bad({name: values[position : position + 1] for name, values in metrics.items()})
            messages.append(
                f"step {first + position + 1:,}: {name} is {metrics[name][position]}; its update is dropped and the "
                f"state is that of step {first + position:,}"
            )
        if not finite.any():
            return {}, messages
        numbers = {name: float(np.mean(values[finite], dtype=np.float64)) for name, values in metrics.items()}
        seconds = max(progress.elapsed_s - logged[1], 1e-9)
        return {
            "bound_bpd": bits_per_dimension(numbers["elbo_nats"], self._experiment.model.image_shape),
            **numbers,
            "images_per_second": (step - logged[0]) * self._config.batch_size / seconds,
            "elapsed_seconds": progress.elapsed_s,
        }, messages

    def _validate(self, state: TrainState, step: int, writer: MetricWriter, progress: Progress) -> float:
        numbers = evaluate_elbo(
            self._experiment.model,
            state.evaluated,
            self._experiment.dataset.validation,
            batch_size=self._experiment.config.evaluate.batch_size,
            seed=self._experiment.config.seed,
            sharding=self._experiment.sharding,
        )
        writer.write(step, "validation", numbers)
        averaged = " of the averaged parameters" if self._config.ema_decay else ""
        progress.message(
            f"step {step:,}: validation bound{averaged} {numbers['bound_bpd']:.4f} bpd, {numbers['elbo_nats']:.2f} nats"
        )
        return numbers["bound_bpd"]

    def _draw(self, state: TrainState, step: int) -> None:
        draw_pictures(
            self._experiment.model,
            state.evaluated,
            self._experiment.dataset.validation,
            self._workdir / "samples" / f"step-{step:08d}",
            levels=self._levels,
            seed=self._experiment.config.seed,
        )
