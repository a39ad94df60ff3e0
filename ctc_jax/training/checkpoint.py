"""Checkpoints of a run: the latest two and the best. Tests: tests/training/test_checkpoint.py."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from jax.sharding import Sharding
from orbax.checkpoint import checkpoint_managers

from ctc_jax.errors import UserError
from ctc_jax.training.step import TrainState


class Restored(NamedTuple):
    """A state and what was noted beside it.

    Attributes:
      state: on the sharding asked for.
      elapsed_s: seconds of training before it, over all restarts.
    """

    state: TrainState
    elapsed_s: float


class Checkpoints:
    """Saves and restores whole training states with orbax.

    Two of the latest are kept, because a crash of the machine can damage the newest, and the one with the lowest
    validation bound. Saving is asynchronous: `close` (or the next `save`) waits.

    Args:
      directory: made absolute; it need not exist.
      say: takes one line for the user.
    """

    def __init__(self, directory: Path, say: Callable[[str], None] = print):
        self._directory = Path(directory).absolute()
        self._say = say
        # Orbax reports each save and each unreadable folder at length; what a user must know is said by `say`.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        policy = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(2),
                # `best_fn` with `max_to_keep` would evict the latest, and resuming would lose its steps.
                checkpoint_managers.BestN(get_metric_fn=_minus_bound, n=1, keep_checkpoints_without_metrics=False),
            ]
        )
        self._manager = ocp.CheckpointManager(
            self._directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policy, best_fn=_minus_bound, best_mode="max", enable_async_checkpointing=True
            ),
            # Without handlers, metadata of a checkpoint is only known to the process that wrote it.
            item_handlers={"state": ocp.StandardCheckpointHandler(), "notes": ocp.JsonCheckpointHandler()},
        )

    @property
    def steps(self) -> list[int]:
        """Steps with a checkpoint, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, state: TrainState, *, elapsed_s: float, bound_bpd: float | None = None) -> None:
        """Saves under `state.step` if that step has none yet.

        Args:
          state: copied to the host before this returns, so its buffers may be donated afterwards.
          elapsed_s: seconds of training so far.
          bound_bpd: validation bound, lower is better; the lowest is kept as the best.

        Raises:
          UserError: this checkpoint, or the one before, which was still under way, cannot be written.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        with self._writing():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state), notes=ocp.args.JsonSave({"elapsed_s": elapsed_s})
                ),
                metrics=None if bound_bpd is None else {"bound_bpd": bound_bpd},
            )

    def restore(self, abstract: TrainState, sharding: Sharding, step: str | int = "latest") -> Restored | None:
        """The checkpoint of a step, "latest" or "best"; None when there is none at all.

        An unreadable latest one is passed over for the one before, an unreadable best one for the latest; this is said.

        Args:
          abstract: shapes and types that are expected, from `jax.eval_shape`.
          sharding: where every array is placed, whatever devices saved it.
          step: a number, "latest" or "best".

        Raises:
          UserError: no such step, no readable checkpoint, or one of another shape or type.
        """
        self._manager.wait_until_finished()
        steps = self.steps
        if not steps:
            return None
        if step == "best":
            best = self._manager.best_step()
            steps = sorted(steps, key=lambda other: (other == best, other))
        elif step != "latest":
            if step not in steps:
                raise UserError(
                    f"no checkpoint of step {step} in {self._directory}; there are {steps}, best and latest"
                )
            steps = [int(step)]
        for candidate in reversed(steps):
            try:
                return self._read(candidate, abstract, sharding)
            except UserError:
                raise
            except Exception as error:
                # Orbax and its storage raise many types for a damaged file; any of them means: not this one.
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                self._say(f"checkpoint {self._directory}/{candidate} cannot be read ({first[:200]})")
                unreadable = candidate
        raise UserError(f"no readable checkpoint in {self._directory}: step {unreadable} was the last one tried")

    def discard_after(self, step: int) -> None:
        """Removes checkpoints later than `step`: unreadable ones that were passed over and will be made again."""
        for later in [existing for existing in self.steps if existing > step]:
            self._manager.delete(later)

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

    def _read(self, step: int, abstract: TrainState, sharding: Sharding) -> Restored:
        # Targets from our own state, not from the file: orbax would cast a differing type and say nothing.
        saved = self._manager.metadata(step).item_metadata["state"]
        _check(step, abstract, saved)
        target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), abstract)
        read = self._manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target), notes=ocp.args.JsonRestore())
        )
        return Restored(read["state"], float(read["notes"]["elapsed_s"]))


def _minus_bound(metrics: Any) -> float:
    return -metrics["bound_bpd"]


def _check(step: int, abstract: TrainState, saved: Any) -> None:
    def described(tree: Any) -> dict[str, tuple]:
        leaves = jax.tree_util.tree_leaves_with_path(tree)
        return {_name(path): (tuple(leaf.shape), str(leaf.dtype)) for path, leaf in leaves if hasattr(leaf, "dtype")}

    expected, found = described(abstract), described(saved)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise UserError(
                f"checkpoint of step {step} does not fit the config: {name} is {found.get(name, 'absent')}, "
                f"the config's model has {expected.get(name, 'none')}"
            )


def _name(path: tuple) -> str:
    return "/".join(str(getattr(part, "name", getattr(part, "key", getattr(part, "idx", part)))) for part in path)
