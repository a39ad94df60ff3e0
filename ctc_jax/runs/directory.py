"""A run's directory: its lock, and what a start writes. Tests: tests/runs/test_directory.py."""

import fcntl
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctc_jax.errors import UserError
from ctc_jax.runs.config import check_same
from ctc_jax.runs.json_file import read_json, write_json
from ctc_jax.runs.provenance import provenance


@contextmanager
def claim(workdir: Path, config: Mapping[str, Any], *, free: tuple[str, ...] = ()) -> Iterator[Path]:
    """Makes or reopens the directory for one run, and holds it against any other until the block ends.

    Args:
      workdir: the directory; made when absent.
      config: nested config of the run.
      free: keys and sections in which the config may differ from that of the run found there.

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
            check_same(workdir, config, free)
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
