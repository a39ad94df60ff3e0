"""Prepared arrays on disk, whole or not there at all, memory-mapped when read. Tests: tests/data/test_cache.py."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from absl import logging

from ctc_jax.data.source import Arrays
from ctc_jax.errors import ConfigError

PARTS = ("images", "labels", "test_images", "test_labels")
FACTS = ("classes", "origin", "validation", "bits")


class Damaged(Exception):
    """A cached folder is not what was written."""


def cached(directory: Path, name: str, prepare: Callable[[], Arrays]) -> Arrays:
    """The arrays under `directory/name`, prepared and written first when they are not there or damaged.

    Several processes may prepare at once: each writes under a name of its own and renames; the first rename is kept.

    Raises:
      ConfigError: `directory` cannot be written.
    """
    folder = directory / name
    if folder.exists():
        try:
            return read(folder)
        except Damaged as error:
            logging.warning("%s is damaged (%s) and is prepared anew", folder, error)
    arrays = prepare()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write(folder, arrays)
    except OSError as error:
        allowed = f"a writable folder with space for {sum(getattr(arrays, part).nbytes for part in PARTS) >> 20} MiB"
        raise ConfigError("data.directory", str(directory), f"{allowed} ({error.strerror})") from None
    return read(folder)


def read(folder: Path) -> Arrays:
    """The arrays of a cached folder, images memory-mapped.

    Raises:
      Damaged: a file is missing, cut short, or not what `about.json` says.
    """
    try:
        about = json.loads((folder / "about.json").read_text())
        arrays = {part: np.load(folder / f"{part}.npy", mmap_mode="r") for part in PARTS}
        for part, array in arrays.items():
            if [array.dtype.name, list(array.shape)] != about[part]:
                raise Damaged(f"{part}.npy holds {array.dtype} {array.shape}, not {about[part]}")
        return Arrays(**arrays, **{fact: about[fact] for fact in FACTS})
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise Damaged(str(error)) from None


def write(folder: Path, arrays: Arrays) -> None:
    """Write beside `folder`, then rename; a whole folder that came in between is kept, a damaged one replaced."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        whole = temporary / "whole"
        whole.mkdir()
        about = {fact: getattr(arrays, fact) for fact in FACTS}
        for part in PARTS:
            array = getattr(arrays, part)
            about[part] = [array.dtype.name, list(array.shape)]
            with open(whole / f"{part}.npy", "wb") as file:
                np.save(file, array)
                os.fsync(file.fileno())
        with open(whole / "about.json", "w") as file:
            json.dump(about, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        if folder.exists() and not is_whole(folder):
            # Deleted with the temporary folder; a process that maps its files keeps them.
            with contextlib.suppress(FileNotFoundError):
                os.rename(folder, temporary / "damaged")
        try:
            os.rename(whole, folder)
        except OSError:
            if not is_whole(folder):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_whole(folder: Path) -> bool:
    """Whether `read` would succeed."""
    try:
        read(folder)
    except Damaged:
        return False
    return True


def fingerprint(paths: Iterable[Path]) -> str:
    """Sixteen digits that change when a file is added, removed, renamed or written to."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        status = path.stat()
        digest.update(f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]
