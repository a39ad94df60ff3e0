"""What a sweep would do, said and not done. Tests: tests/sweeps/test_dry_run.py."""

import json
import shlex
from pathlib import Path

import ml_collections

from ctc_jax.sweeps import kubernetes
from ctc_jax.sweeps.expand import Overrides, load_sweep

COMMAND = "ctc-jax"


def dry_run(
    config_file: str,
    sweep_file: str,
    *,
    executor: str,
    root: Path,
    config: ml_collections.ConfigDict,
    mode: str = "train",
) -> str:
    """The runs of a sweep, checked as before their start: nothing is written, nothing started.

    Args:
      config_file: the experiment's file, perhaps with `:PRESET`.
      sweep_file: a Python file with `get_overrides()`.
      executor: of kubernetes, the manifest for `kubectl apply -f -`; of others, a line on each run.
      root: folder of the sweep, one folder a run in it.
      config: the config that the runs' overrides change.
      mode: what to do with each run.

    Returns:
      Of each run its name, its workdir, and the command that does it alone, to be pasted.

    Raises:
      UserError: the sweep file or an override is wrong, or Kubernetes cannot be asked so.
    """
    sweep, root = load_sweep(sweep_file, config), root.absolute()
    shared = (COMMAND, f"--config={config_file}", f"--mode={mode}")
    commands = {
        trial.name: [*shared, f"--workdir={root / trial.name}", *_flags(trial.overrides)] for trial in sweep.trials
    }
    if executor == kubernetes.NAME:
        return json.dumps(kubernetes.manifest(commands, root, sweep.resources), indent=1)
    lines = [f"{name}\n  {root / name}\n  {shlex.join(command)}" for name, command in commands.items()]
    return "\n".join([f"{len(commands)} runs, executor {executor}", *lines])


def _flags(overrides: Overrides) -> list[str]:
    return [f"--config.{key}={value}" for key, value in overrides.items()]
