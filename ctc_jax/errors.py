"""Errors a user can cause, said in one line. Floor 0: imports nothing of the package. Tests: tests/test_errors.py."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

# The exit code of a process that was asked to end, saved, and is not done: the same command goes on with it. It is
# EX_TEMPFAIL of sysexits.h. Code 0 is of what is done, so that a sweep or a scheduler can tell them apart.
SAVED_EXIT_CODE = 75
DIVERGED_EXIT_CODE = 3  # of training that met numbers which are not finite


class UserError(Exception):
    """Something the user can mend; the launcher prints the message as one line and exits with `exit_code`."""

    exit_code = 2


class ConfigError(UserError):
    """A config key has a value that does not fit.

    Args:
      key: the key as written on the command line, for example `likelihood.name`.
      found: the value found.
      allowed: what is allowed, in words.
    """

    def __init__(self, key: str, found: object, allowed: str):
        super().__init__(f"config.{key} is {' '.join(repr(found).split())}; allowed: {allowed}")
        self.key, self.found, self.allowed = key, found, allowed


def nearest(word: str, choices: Iterable[str]) -> str:
    """' (did you mean X?)' for the choice closest in spelling, or '' when none is close."""
    matches = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f" (did you mean {matches[0]}?)" if matches else ""


def choose(registry: Mapping[str, T], name: str, key: str) -> T:
    """The registry's entry of that name.

    Raises:
      ConfigError: no such entry; the message lists the choices and the nearest one.
    """
    if name not in registry:
        raise ConfigError(key, name, ", ".join(sorted(registry)) + nearest(str(name), registry))
    return registry[name]
