"""JSON files of a run, written whole or not at all. Tests: tests/runs/test_json_file.py."""

import json
from pathlib import Path
from typing import Any

from ctc_jax import process
from ctc_jax.errors import UserError
from ctc_jax.whole_file import replaced

# The longest is a config, of some kilobytes, or the mean of a large image; anything beyond is another file.
MAXIMUM_BYTES = 64 * 2**20


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of a run.

    Raises:
      UserError: it cannot be read, or is no JSON object.
    """
    try:
        if not path.is_file() and path.exists():  # reading a pipe would wait for ever
            raise ValueError("it is no regular file")
        if path.stat().st_size > MAXIMUM_BYTES:
            raise ValueError(f"it is larger than {MAXIMUM_BYTES:,} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read: {reason}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} cannot be read: it holds {_kind(content)}, not an object")
    return content


def write_json(path: Path, content: Any) -> None:
    """Writes an object to a file of a run, in the process that leads it.

    Raises:
      OSError: it cannot be written; nothing is left of it.
    """
    if not process.is_leader():
        return
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _kind(content: Any) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(content), "a number")
