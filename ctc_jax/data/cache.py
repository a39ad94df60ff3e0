"""Prepared arrays on disk, whole or not there at all, memory-mapped when read. Tests: tests/data/test_cache.py."""

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from ctc_jax.data.digest import digest_of
from ctc_jax.data.source import Arrays, reason
from ctc_jax.options import OptionError

LOGGER = logging.getLogger(__name__)

PARTS = ("images", "labels", "test_images", "test_labels")
FACTS = ("classes", "origin", "validation", "bits", "notes")


class Damaged(Exception):
    """A cached folder is not what was written."""


def cached(directory: Path, name: str, prepare: Callable[[], Arrays]) -> Arrays:
    """The arrays under `directory/name`, prepared and written first when they are not there or damaged.

    Several processes may prepare at once: each writes under a name of its own and renames; the first rename is kept.

    Raises:
      OptionError: `directory` cannot be written.
    """
    folder = directory / name
    if os.path.exists(folder):
        try:
            return read(folder)
        except Damaged as error:
            LOGGER.warning("%s is damaged (%s) and is prepared anew", folder, error)
    arrays = prepare()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write(folder, arrays)
    except OSError as error:
        allowed = f"a writable folder with space for {sum(getattr(arrays, part).nbytes for part in PARTS) >> 20} MiB"
        raise OptionError("directory", str(directory), f"{allowed} ({error.strerror})") from None
    return read(folder)


def read(folder: Path) -> Arrays:
    """The arrays of a cached folder, images memory-mapped, after one pass over all bytes.

    Raises:
      Damaged: a file is missing, or its content is not what was written.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, at a damaged header
            about = json.loads((folder / "about.json").read_text())
            arrays = {part: np.load(folder / f"{part}.npy", mmap_mode="r", allow_pickle=False) for part in PARTS}
            if about["digest"] != _digest(arrays, about["facts"]):
                raise Damaged("its content differs from what was written")
            facts = about["facts"]
            return Arrays(**arrays, **{**facts, "notes": tuple(facts["notes"])})
    except Damaged:
        raise
    except Exception as error:  # What numpy and its parser of headers raise at damage has no common base.
        raise Damaged(reason(error)) from None


def _digest(arrays: Mapping[str, Shaped[np.ndarray, "..."]], facts: Mapping[str, Any]) -> str:
    return digest_of(json.dumps(facts, sort_keys=True), *(arrays[part] for part in PARTS))


def write(folder: Path, arrays: Arrays) -> None:
    """Write beside `folder`, then rename; a whole folder that came in between is kept, a damaged one replaced."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        whole = temporary / "whole"
        whole.mkdir()
        facts = {fact: getattr(arrays, fact) for fact in FACTS}
        about = {"facts": facts, "digest": _digest({part: getattr(arrays, part) for part in PARTS}, facts)}
        for part in PARTS:
            with open(whole / f"{part}.npy", "wb") as file:
                np.save(file, getattr(arrays, part))
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


def plain_name(text: str) -> str:
    """At most 60 plain characters of a text, for a folder's name: file systems allow 255 bytes in all."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text)[-60:]


def fingerprint(paths: Iterable[Path]) -> str:
    """Sixteen digits that change when a file is added, removed, renamed or written to."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        status = path.stat()
        digest.update(os.fsencode(f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\0"))
    return digest.hexdigest()[:16]
