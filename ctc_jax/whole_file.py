"""Files that are replaced whole or not at all. Floor 0. Tests: tests/test_whole_file.py."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Gives the temporary name to write to; renames it at the end, so that a reader never sees half a file.

    Where the block or the disk fails, what was written is removed and `path` is as before.

    Raises:
      OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # else a crash of the machine may leave the new name without its content
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # after the renaming it is no longer there


def temporary_of(name: str) -> str:
    """The name of the file that a temporary one of this name is for; "" where it is none.

    A process that was killed leaves such a file.
    """
    found = TEMPORARY.fullmatch(name)
    return found["name"] if found else ""
