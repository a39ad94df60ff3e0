"""JSON files of a run, written whole or not at all. Tests: tests/runs/test_json_file.py."""

import json
import os
from pathlib import Path
from typing import Any

from ctc_jax.errors import UserError


def read_json(path: Path) -> Any:
    """The content of a file of a run.

    Raises:
      UserError: it cannot be read.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None


def write_json(path: Path, content: Any) -> None:
    """Writes to a temporary name and renames, so that a reader never sees half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    os.replace(temporary, path)
