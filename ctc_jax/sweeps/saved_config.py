"""A config from its JSON file, as an experiment: `--config=ctc_jax/sweeps/saved_config.py:FILE`.

A sweep writes the whole config of every run, so that a run depends on no word of the command line that came before it,
nor on files that are edited while it waits in a queue. A run's own config.json serves as well.
"""

import json
from collections.abc import Mapping
from typing import Any

import ml_collections

from ctc_jax.errors import UserError


def get_config(path: str = "") -> ml_collections.ConfigDict:
    """The config.

    Args:
      path: the JSON file of a nested config; what stands after the colon.

    Raises:
      UserError: it cannot be read, or holds no config.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(f"the config {path!r} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"the config {path!r} is {type(content).__name__}; allowed: a JSON object")
    return ml_collections.ConfigDict(content)


def text(config: ml_collections.ConfigDict, overrides: Mapping[str, Any]) -> str:
    """What the file holds of a config with overrides."""
    changed = config.copy_and_resolve_references()
    changed.update_from_flattened_dict(overrides)
    return json.dumps(changed.to_dict(), indent=1)
