"""A run's directory: its config, where it came from, and the lock that makes it one run's.

Tests: tests/training/test_workdir.py.
"""

import fcntl
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from ctc_jax.errors import UserError
from ctc_jax.options import flatten

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpyro", "numpy", "ml_collections")

# Keys younger than the oldest runs, and the values that mean what those runs did. A new key of configs/base.py gets a
# line here, or the runs before it can neither be loaded nor resumed.
NEW_KEYS = {
    "estimator.samples": 2,
    "estimator.temperature": 1.0,
    "estimator.temperature_end": 1.0,
    "estimator.temperature_steps": 0,
    "estimator.flips": 0,
    "estimator.control_values": False,
    "estimator.conditioned": 16,
    "estimator.decay": 0.99,
    "estimator.baseline_width": 200,
    "estimator.trust_region": 1.0,
    "estimator.entropy": 0.0,
    "estimator.second_order": 1.0,
    "evaluate.features": "pixels,random,classifier",
    "evaluate.quality_samples": 0,
    "likelihood.output_layer": True,
    "model.beta": 0.0,
    "model.categories": 10,
    "model.centered": False,
    "model.channels": 8,
    "model.families": "ctc_pool",
    "model.inference": "top_down",
    "model.latent": "bernoulli",
    "model.narrowing": 1,
    "model.patch": 1,
    "model.negative_slope": 0.01,
    "model.prior": "fixed",
    "model.som_sigma": 0.0,
    "model.som_sigma_steps": 0,
    "model.top": "gaussian",
    "model.value_loc": 0.0,
    "model.value_scale": 1.0,
    "objective.mask_annealing_end": 1.0,
    "objective.samples": 5,
    "train.cpu_devices": 1,
}


def read_config(workdir: Path) -> dict[str, Any]:
    """The nested config of the run in `workdir`.

    Raises:
      UserError: there is no run, its config.json cannot be read, or it is of a version that no longer loads.
    """
    if not (Path(workdir) / "config.json").exists():
        raise UserError(f"no run in {workdir}: it has no config.json")
    config = read_json(Path(workdir) / "config.json")
    _check_parameters_mean_the_same(config, workdir)
    return config


def _check_parameters_mean_the_same(config: Mapping[str, Any], workdir: Path) -> None:
    """Refuses hierarchies from before q moved locations by the prior's scales: these runs lack `model.value_loc`."""
    model = config.get("model", {})
    if model.get("name") != "ctc_hierarchy" or "value_loc" in model:
        return
    if model.get("inference") == "bottom_up" or set(model["families"].replace(" ", "").split(",")) == {"none"}:
        return  # no level's q is a change of its prior
    raise UserError(
        f"the run in {workdir} is a hierarchy of an earlier version, in which its parameters meant another model; "
        "train it again, in another --workdir, or load it with the version in its provenance.json"
    )


def upgrade(config: Mapping[str, Any]) -> dict[str, Any]:
    """The nested config with those of `NEW_KEYS` that its sections lack."""
    upgraded = json.loads(json.dumps(config))
    for key, value in NEW_KEYS.items():
        section, name = key.split(".")
        if section in upgraded:
            upgraded[section].setdefault(name, value)
    return upgraded


def read_json(path: Path) -> Any:
    """The content of a file of a run.

    Raises:
      UserError: it cannot be read.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None


@contextmanager
def claim(workdir: Path, config: Mapping[str, Any], *, free: tuple[str, ...] = ()) -> Iterator[Path]:
    """Makes or reopens the directory for one run, and holds it against any other until the block ends.

    Args:
      workdir: the directory; made when absent.
      config: nested config of the run.
      free: sections in which the config may differ from that of the run found there.

    Raises:
      UserError: it cannot be written, holds something else, holds a run of another config, or is in use.
    """
    workdir = Path(workdir).absolute()
    made = not workdir.exists()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        foreign = [name for name in os.listdir(workdir) if name != ".lock"]
        if foreign and "config.json" not in foreign:
            raise UserError(
                f"workdir {workdir} holds files but no config.json: not a run of ours; choose another --workdir"
            )
        lock = open(workdir / ".lock", "a+")  # noqa: SIM115, held open as long as the lock
    except OSError as error:
        raise UserError(f"workdir {workdir} cannot be written: {error.strerror}; choose another --workdir") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            raise UserError(
                f"workdir {workdir} is in use by {owner}; wait for it or choose another --workdir"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}")
        lock.flush()
        if (workdir / "config.json").exists():
            _check_same(workdir, config, free)
        try:
            yield workdir
        finally:
            if not (workdir / "config.json").exists():  # refused before it became a run: leave nothing behind
                (workdir / ".lock").unlink()
                if made:
                    workdir.rmdir()


def note_start(workdir: Path, config: Mapping[str, Any], command: list[str]) -> None:
    """Writes config.json and provenance.json; of a run that goes on, notes this start in the latter."""
    path = workdir / "provenance.json"
    if (workdir / "config.json").exists() and path.exists():
        first = read_json(path)
        write_json(path, {**first, "resumed": [*first.get("resumed", []), provenance(command)]})
    else:
        write_json(path, provenance(command))
        write_json(workdir / "config.json", config)


def write_json(path: Path, content: Any) -> None:
    """Writes to a temporary name and renames, so that a reader never sees half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    os.replace(temporary, path)


def provenance(command: list[str]) -> dict[str, Any]:
    """Commit, versions, devices and command of this process."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return result.stdout.strip() if result.returncode == 0 else ""

    try:
        commit, dirty = git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except FileNotFoundError:  # no git here
        commit, dirty = "", False
    return {
        "command": command,
        "git_commit": commit,
        "git_dirty": dirty,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "cpu_count": os.cpu_count(),
        "executable": sys.executable,
    }


def _check_same(workdir: Path, config: Mapping[str, Any], free: tuple[str, ...]) -> None:
    old, new = flatten(upgrade(read_config(workdir))), flatten(upgrade(config))
    keys = (key for key in old.keys() | new.keys() if key.split(".")[0] not in free)
    differing = sorted(key for key in keys if old.get(key) != new.get(key))
    if differing:
        listed = ", ".join(f"{key} ({old.get(key)!r} there, {new.get(key)!r} now)" for key in differing)
        raise UserError(f"workdir {workdir} holds a run of another config: {listed}; choose another --workdir")
