"""The config that a run remembers. Tests: tests/runs/test_config.py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctc_jax.errors import UserError
from ctc_jax.options import flatten
from ctc_jax.runs.json_file import read_json


class _Absent:
    def __repr__(self):
        return "absent"


ABSENT = _Absent()


def read_config(workdir: Path) -> dict[str, Any]:
    """The nested config of the run in `workdir`.

    Raises:
      UserError: there is no run, or its config.json cannot be read.
    """
    if not (Path(workdir) / "config.json").exists():
        raise UserError(f"no run in {workdir}: it has no config.json")
    return read_json(Path(workdir) / "config.json")


def check_same(
    workdir: Path, config: Mapping[str, Any], free: tuple[str, ...] = (), defaults: Mapping[str, Any] | None = None
) -> None:
    """Refuses a config that is not that of the run in `workdir`.

    Args:
      workdir: holds a run.
      config: nested config of the start.
      free: keys and sections in which the two may differ.
      defaults: of keys, dotted, that the run's config may lack.

    Raises:
      UserError: they differ elsewhere; the message lists the keys.
    """
    old, new = {**(defaults or {}), **flatten(read_config(workdir))}, flatten(config)
    keys = (key for key in old.keys() | new.keys() if not any(f"{key}.".startswith(f"{part}.") for part in free))
    differing = sorted(key for key in keys if old.get(key, ABSENT) != new.get(key, ABSENT))
    if differing:
        listed = ", ".join(f"{key} ({old.get(key, ABSENT)!r} there, {new.get(key, ABSENT)!r} now)" for key in differing)
        raise UserError(f"workdir {workdir} holds a run of another config: {listed}; choose another --workdir")
