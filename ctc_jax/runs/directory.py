"""A run's directory: its lock, and what a start writes. Tests: tests/runs/test_directory.py."""

import contextlib
import fcntl
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ctc_jax import process
from ctc_jax.errors import UserError
from ctc_jax.runs.config import check_same
from ctc_jax.runs.json_file import read_json, write_json
from ctc_jax.runs.provenance import provenance
from ctc_jax.whole_file import temporary_of

LOCK = ".lock"
# What a start writes, in this order. A directory is a run from its config.json on, and then has the others; one with
# some of the others alone is of a start that was killed, and starts anew.
START = ("provenance.json", "images.json", "config.json")
REPLACED = (*START, "metrics.jsonl", "report.html")  # files written under a temporary name and then renamed


def expand(workdir: str | Path) -> Path:
    """The absolute path, with the home of `~` or `~name` at its beginning.

    Raises:
      UserError: there is no such home.
    """
    try:
        return Path(workdir).expanduser().absolute()
    except RuntimeError:
        raise UserError(f"workdir {workdir} begins with the home of a user that does not exist") from None


@contextlib.contextmanager
def claim(
    workdir: Path,
    config: Mapping[str, Any],
    *,
    free: tuple[str, ...] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Iterator[Path]:
    """Makes or reopens the directory for one run, and holds it against any other until the block ends.

    What a start that was killed left is removed. A block that ends before `begin` leaves nothing. Of several processes
    the leading one does this for all.

    Args:
      workdir: the directory; made when absent.
      config: nested config of the run.
      free: keys and sections in which the config may differ from that of the run found there.
      defaults: of keys, dotted, that the config of the run found there may lack.

    Raises:
      UserError: it cannot be written, holds something else, holds a run of another config, or is in use.
    """
    workdir = Path(workdir).absolute()
    if not process.is_leader():
        yield workdir
        return
    made = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
    try:
        with _opened(workdir) as lock:
            _hold(lock, workdir)
            try:
                _sign(lock, workdir)
                for left in workdir.iterdir():
                    if temporary_of(left.name) in REPLACED:
                        left.unlink(missing_ok=True)
                if (workdir / "config.json").exists():
                    check_same(workdir, config, free, defaults)
                yield workdir
            finally:
                if not (workdir / "config.json").exists():
                    for name in (*START, LOCK):
                        (workdir / name).unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):  # it holds a run, or was not made
            for folder in made:
                folder.rmdir()


def _opened(workdir: Path) -> IO[str]:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        found = os.listdir(workdir)
        if "config.json" not in found and not _of_a_killed_start(found):
            raise UserError(
                f"workdir {workdir} holds files but no config.json: not a run of ours; choose another --workdir"
            )
        return open(workdir / LOCK, "a+")
    except OSError as error:
        raise _unwritable(workdir, error) from None


def _of_a_killed_start(found: list[str]) -> bool:
    """Whether these files are none but a start's; its first, the lock, tells them from another's of the same names."""
    others = [name for name in found if name not in (LOCK, *START) and temporary_of(name) not in REPLACED]
    return not found or (LOCK in found and not others)


def _hold(lock: IO[str], workdir: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.path.samestat(os.fstat(lock.fileno()), os.stat(workdir / LOCK))
    except OSError:
        held = False  # another holds it, or has just removed it: it ended without a run
    if not held:
        lock.seek(0)
        owner = lock.read().strip() or "another process"
        raise UserError(f"workdir {workdir} is in use by {owner}; wait for it or choose another --workdir")


def _sign(lock: IO[str], workdir: Path) -> None:
    try:
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}")
        lock.flush()
    except OSError as error:
        raise _unwritable(workdir, error) from None


def _unwritable(workdir: Path, error: OSError) -> UserError:
    return UserError(f"workdir {workdir} cannot be written: {error.strerror}; choose another --workdir")


def begin(workdir: Path, config: Mapping[str, Any], images: Mapping[str, Any], command: list[str]) -> None:
    """Makes a claimed directory a run; of a run that goes on, notes this start in its provenance.json.

    Args:
      workdir: a claimed directory.
      config: nested config, for config.json.
      images: what the model knows of its images, for images.json.
      command: the command line, for provenance.json.

    Raises:
      UserError: the provenance.json of a run that goes on cannot be read.
      OSError: a file cannot be written.
    """
    path = workdir / "provenance.json"
    if (workdir / "config.json").exists():
        first = read_json(path)
        resumed = first.get("resumed", [])
        if not isinstance(resumed, list):
            raise UserError(f"{path} cannot be read: its key resumed is no list")
        write_json(path, {**first, "resumed": [*resumed, provenance(command)]})
        return
    for name, content in zip(START, (provenance(command), images, config), strict=True):
        write_json(workdir / name, content)
