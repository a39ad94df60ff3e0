"""What is typed after `launch.py`: mistakes in it are told in one line. Tests: tests/test_launch.py."""

import errno
import sys
from collections.abc import Callable, Iterable

from absl import flags

from ctc_jax.errors import UserError, nearest

USAGE_EXIT_CODE = 2


def parser(keys: Callable[[], Iterable[str]]) -> Callable[[list[str]], list[str]]:
    """A flag parser for `absl.app.run` that ends the process with one line on a mistake.

    Args:
      keys: gives every dotted key a config may have.
    """

    def parse(argv: list[str]) -> list[str]:
        try:
            positional = flags.FLAGS(argv)
        except UserError as error:
            fail(str(error), error.exit_code)
        # Config files run arbitrary code and ml_collections raises many types; each is the user's to mend.
        except Exception as error:
            fail(_explain(argv, list(keys()), error), USAGE_EXIT_CODE)
        if positional[1:]:
            fail(f"unexpected argument {positional[1]!r}; options start with --", USAGE_EXIT_CODE)
        return positional

    return parse


def one_line(main: Callable[[list[str]], int]) -> Callable[[list[str]], int]:
    """`main` with a user's errors printed as one line and turned into exit codes."""

    def run(argv: list[str]) -> int:
        try:
            return main(argv)
        except UserError as error:
            fail(str(error), error.exit_code)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            fail(f"no space left on the device for {error.filename or 'a file of the run'}", UserError.exit_code)

    return run


def fail(message: str, exit_code: int) -> None:
    """Prints one line to standard error and ends the process."""
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(exit_code)


def _explain(argv: list[str], keys: list[str], error: Exception) -> str:
    sections = {known.split(".")[0] for known in keys if "." in known}
    overrides = [argument.lstrip("-").partition("=") for argument in argv[1:] if argument.startswith("--config.")]
    for name, _, _ in overrides:
        key = name.removeprefix("config.")
        if key in sections:
            return f"config.{key} is a section; set one of its keys, such as config.{_first(keys, key)}"
        if key not in keys:
            return f"config.{key} is no config key{_nearest_key(key, keys)}; configs/base.py lists them all"
    for name, _, value in overrides:
        if name in str(error):
            return f"{name} cannot be {value!r}: {_last_line(error)}"
    return _last_line(error)


def _nearest_key(key: str, keys: list[str]) -> str:
    # Closest as a whole; else the closest last part, for a key typed in the wrong section.
    whole = nearest(key, keys)
    if whole:
        return whole
    last = {known.split(".")[-1]: known for known in keys}
    guess = nearest(key.split(".")[-1], last)
    return guess and f" (did you mean {last[guess.removeprefix(' (did you mean ').removesuffix('?)')]}?)"


def _first(keys: list[str], section: str) -> str:
    return next(key for key in keys if key.startswith(f"{section}."))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
