"""Checkpoints of a run: the latest and the best. Tests: tests/training/test_checkpoint.py."""

import contextlib
import hashlib
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ctc_jax import process
from ctc_jax.errors import UserError
from ctc_jax.training.sharding import leaf_name
from ctc_jax.training.step import TrainState


class Restored(NamedTuple):
    """A state and what was noted beside it.

    Attributes:
      state: on the sharding asked for.
      elapsed_s: seconds of training before it, over all restarts.
      bound_bpd: validation bound noted with it, possibly not finite; None where none was.
    """

    state: TrainState
    elapsed_s: float
    bound_bpd: float | None


class Checkpoints:
    """Saves and restores whole training states with orbax.

    Two of the latest or more are kept, because a crash of the machine can damage the newest, and the one of the lowest
    validation bound. A digest of all arrays is saved with them and checked when they are restored: the storage itself
    does not notice a flipped bit. Saving is asynchronous: `close` (or the next `save`) waits.

    Args:
      directory: made absolute; it need not exist.
      say: takes one line for the user.
      latest: how many of the latest are kept.

    Raises:
      UserError: the directory cannot be made or read.
    """

    def __init__(self, directory: Path, say: Callable[[str], None] = print, *, latest: int = 2):
        import orbax.checkpoint as ocp  # late: what ends before there is a checkpoint does not wait for it

        self._directory = Path(directory).absolute()
        self._say, self._latest = say, latest
        _quiet()
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(
                self._directory,
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=self,
                    enable_async_checkpointing=True,
                    # A folder that cannot be made is told by `save`. Made in the background, it would leave threads
                    # that wait for it, and Python waits for them at its end.
                    async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
                ),
                # Without handlers, metadata of a checkpoint is only known to the process that wrote it.
                item_handlers={"state": ocp.StandardCheckpointHandler(), "notes": ocp.JsonCheckpointHandler()},
            )
        except Exception as error:  # a folder that cannot be made, or that holds what orbax never wrote
            raise UserError(f"checkpoints {self._directory} cannot be read: {_first_line(error)}") from None
        # Orbax's own metrics would do, but a damaged file of them keeps the manager from opening.
        self._bounds = {step: self._noted_bound(step) for step in self._manager.all_steps()}

    @property
    def steps(self) -> list[int]:
        """Steps with a checkpoint, ascending."""
        return sorted(self._manager.all_steps())

    @property
    def best(self) -> int | None:
        """The step of the lowest finite validation bound, the later one of two alike; None where there is none."""
        ranked = [(bound, -step) for step, bound in self._bounds.items() if step in self.steps and bound < math.inf]
        return -min(ranked)[1] if ranked else None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Orbax's question which checkpoints to keep: `max_to_keep` with its `best_fn` would evict the latest."""
        latest, best = sorted(info.step for info in checkpoints)[-self._latest :], self.best
        return [info.step in latest or info.step == best for info in checkpoints]

    def save(self, state: TrainState, *, elapsed_s: float, bound_bpd: float | None = None) -> None:
        """Saves under `state.step` if that step has none yet.

        Args:
          state: copied to the host before this returns, so its buffers may be donated afterwards.
          elapsed_s: seconds of training so far.
          bound_bpd: validation bound, lower is better; the lowest finite one is kept as the best.

        Raises:
          UserError: this checkpoint, or the one before, which was still under way, cannot be written.
        """
        import orbax.checkpoint as ocp

        step = int(state.step)
        if step in self._manager.all_steps():
            return
        notes = {"elapsed_s": float(elapsed_s), "bound_bpd": None if bound_bpd is None else float(bound_bpd)}
        self._bounds[step] = _rank(bound_bpd)
        with self._writing():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    notes=ocp.args.JsonSave({**notes, "digest": digest(state, notes)}),
                ),
            )

    def restore(self, abstract: TrainState, sharding: Any, step: str | int = "latest") -> Restored | None:
        """The checkpoint of a step, "latest" or "best"; None when there is none at all.

        A damaged latest one is passed over for the one before, a damaged best one for the latest; this is said.

        Args:
          abstract: shapes and types that are expected, from `jax.eval_shape`.
          sharding: where the arrays are placed, whatever devices saved them: one for all, or a pytree of them.
          step: a number, "latest" or "best".

        Raises:
          UserError: no such step, no readable checkpoint, or one of another shape or type.
        """
        self._manager.wait_until_finished()
        steps, failures = self.steps, []
        if not steps:
            return None
        if step == "best":
            best = self.best
            damaged = [other for other in steps if math.isnan(self._bounds[other])]
            failures = [
                f"checkpoint {self._directory}/{other} cannot be read (its notes are damaged)" for other in damaged
            ]
            steps = sorted(steps, key=lambda other: (other == best, other))
        elif step != "latest":
            if step not in steps:
                raise UserError(
                    f"no checkpoint of step {step} in {self._directory}; there are {steps}, best and latest"
                )
            steps = [int(step)]
        misfit = None
        for candidate in reversed(steps):
            try:
                restored = self._read(candidate, abstract, sharding)
            except Exception as error:
                # Orbax and its storage raise many types for a damaged file; any of them means: not this one. As all
                # checkpoints are of one config, one that does not fit it is damaged where another does.
                misfit = misfit or (error if isinstance(error, UserError) else None)
                failures.append(self._unreadable(candidate, _first_line(error)))
            else:
                for failure in failures:
                    self._say(failure)
                return restored
        raise misfit or UserError("; ".join(failures))

    def discard_after(self, step: int) -> None:
        """Removes checkpoints later than `step`: unreadable ones that were passed over and will be made again."""
        for later in [existing for existing in self.steps if existing > step]:
            self._manager.delete(later)
            del self._bounds[later]

    def close(self) -> None:
        """Waits for a save under way and releases the directory.

        Raises:
          UserError: that checkpoint cannot be written.
        """
        with self._writing():
            self._manager.wait_until_finished()
            self._manager.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Orbax and its storage raise many types for a full or lost disk, at the save or at a later call."""
        try:
            yield
        except Exception as error:
            full = "no space left" in str(error).lower()
            reason = "no space left on the device" if full else f"{type(error).__name__}: {str(error)[:200]}"
            raise UserError(
                f"checkpoint cannot be written to {self._directory}: {reason}; those finished before it are whole, "
                "the same command goes on from there"
            ) from error

    def _unreadable(self, step: int, reason: str) -> str:
        return f"checkpoint {self._directory}/{step} cannot be read ({reason})"

    def _noted_bound(self, step: int) -> float:
        import orbax.checkpoint as ocp

        try:
            read = self._manager.restore(step, args=ocp.args.Composite(notes=ocp.args.JsonRestore()))
            return _rank(read["notes"]["bound_bpd"])
        except Exception:  # as many types as in `restore`
            return math.nan

    def _read(self, step: int, abstract: TrainState, sharding: Any) -> Restored:
        import orbax.checkpoint as ocp

        # Targets from our own state, not from the file: orbax would cast a differing type and say nothing.
        saved = self._manager.metadata(step).item_metadata["state"]
        if saved is None:
            raise ValueError("its list of arrays is missing or damaged")
        _check(step, abstract, saved)
        target = jax.tree.map(
            lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
            abstract,
            jax.tree.broadcast(sharding, abstract),
        )
        read = self._manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target), notes=ocp.args.JsonRestore())
        )
        state, notes = read["state"], dict(read["notes"])
        if notes.pop("digest") != digest(state, notes):
            raise ValueError("it is not what was saved: its digest differs")
        return Restored(state, notes["elapsed_s"], notes["bound_bpd"])


def digest(state: TrainState, notes: dict[str, float | None]) -> str:
    """BLAKE2b of every array's name, type, shape and bytes, and of the notes."""
    found = hashlib.blake2b(json.dumps(notes, sort_keys=True).encode(), digest_size=16)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        array = process.whole(leaf) if isinstance(leaf, jax.Array) else np.asarray(leaf)
        found.update(f"{leaf_name(path)} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return found.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _rank(bound: Any) -> float:
    """The bound, infinity where it is not finite or none at all."""
    return float(bound) if isinstance(bound, (int, float)) and math.isfinite(bound) else math.inf


def _quiet() -> None:
    """Keeps orbax and its threads from printing: what a user must know is said in a line or raised."""
    for name in ("absl", "asyncio", "concurrent.futures"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if not isinstance(sys.unraisablehook, _WithoutLeftovers):
        sys.unraisablehook = _WithoutLeftovers(sys.unraisablehook)


@dataclass(frozen=True)
class _WithoutLeftovers:
    """A `sys.unraisablehook` for all but what the storage's threads still raise when a read or write has failed."""

    otherwise: Callable[[Any], Any]

    def __call__(self, unraisable: Any) -> None:
        said = str(unraisable.exc_value)
        if said != "Event loop is closed" and "TensorStore" not in said:
            self.otherwise(unraisable)


def _check(step: int, abstract: TrainState, saved: Any) -> None:
    def described(tree: Any) -> dict[str, tuple]:
        leaves = jax.tree_util.tree_leaves_with_path(tree)
        return {
            leaf_name(path): (tuple(leaf.shape), str(leaf.dtype)) for path, leaf in leaves if hasattr(leaf, "dtype")
        }

    expected, found = described(abstract), described(saved)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise UserError(
                f"checkpoint of step {step} does not fit the config: {name} is {found.get(name, 'absent')}, "
                f"the config's model has {expected.get(name, 'none')}"
            )
