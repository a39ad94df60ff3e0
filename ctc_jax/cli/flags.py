"""What is typed after `launch.py`: mistakes in it are told in one line. Tests: tests/cli/test_flags.py."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import flags
from ml_collections import config_flags

from ctc_jax import evaluation
from ctc_jax.errors import SAVED_EXIT_CODE, UserError, nearest
from ctc_jax.options import Section, check_names, check_used, flatten

USAGE_EXIT_CODE = 2
MISSING = "--config is missing; give an experiment, such as --config=configs/shapes_ctc.py"
HELP = {"help", "h", "helpshort", "helpfull"}
ILLEGAL = re.compile(r"flag --(?P<name>[^=]+)=(?P<value>.*?): (?P<reason>.*)", re.DOTALL)
KINDS = {bool: "true or false", int: "a whole number", float: "a number"}


def parser(
    usage: str,
    defaults: Callable[[], Mapping[str, Any]],
    sections: Iterable[Section],
    *,
    home: Path,
    listed: Callable[[], str],
) -> Callable[[list[str]], list[str]]:
    """A flag parser for `absl.app.run` that ends the process with one line on a mistake.

    Args:
      usage: what `--help` shows above the flags.
      defaults: gives the default of every dotted key that a config has.
      sections: of the config.
      home: the folder of the project's configs/, whose files may be named from anywhere.
      listed: gives what `--list` prints.
    """

    def parse(argv: list[str]) -> list[str]:
        if any(word.startswith("-") and word.lstrip("-") in HELP for word in argv[1:]):
            print(f"{usage.strip()}\n\n{_own_flags()}")
            sys.exit(0)
        if any(re.fullmatch("--?list(=true)?", word) for word in argv[1:]):
            print(listed())
            sys.exit(0)
        argv = located(argv, home)
        try:
            positional = flags.FLAGS(argv)
            _check_config(argv, flags.FLAGS["config"].value, defaults())
            changed = config_flags.get_override_values(flags.FLAGS["config"])
            config = flatten(flags.FLAGS["config"].value.to_dict())
            check_names(config, sections)  # first: else a misspelt name is told by a key of the part that was meant
            check_used(config, changed, sections)
            ask_for_inference(flags.FLAGS["config"].value, changed)
        except UserError as error:
            fail(str(error), error.exit_code)
        except flags.Error as error:
            fail(_explain(argv, defaults(), error), USAGE_EXIT_CODE)
        # Config files run arbitrary code; whatever it raises, or that it ends the process, is the user's to mend.
        except (Exception, SystemExit) as error:
            told = f"{_config_file(argv)} is no config: {type(error).__name__}: {error}"
            fail(_wrong_key(argv, defaults()) or told, USAGE_EXIT_CODE)
        if positional[1:]:
            fail(f"unexpected argument {positional[1]!r}; options start with --", USAGE_EXIT_CODE)
        return positional

    return parse


def located(argv: Sequence[str], home: Path) -> list[str]:
    """The words, with each `configs/...` of --config and --sweep that is not here taken from `home`."""
    words, before = [], ""
    for word in argv:
        flag, equals, value = word.partition("=") if word.startswith("-") else (before, "", word)
        file = value.partition(":")[0]
        known = flag.lstrip("-") in ("config", "sweep") and file.startswith("configs/")
        if known and not os.path.exists(file) and (home / file).exists():
            word = f"{flag}={home / value}" if equals else str(home / value)
        words.append(word)
        before = word if word.startswith("-") else ""
    return words


def ask_for_inference(config: Any, changed: Iterable[str]) -> None:
    """Has a method that was named on the command line tried on some images, where their number was not named too."""
    named = [key for key in changed if key.startswith("inference.")]
    if named and "evaluate.inference_images" not in changed and not config.evaluate.inference_images:
        config.evaluate.inference_images = evaluation.INFERENCE_IMAGES


def one_line(main: Callable[[list[str]], int]) -> Callable[[list[str]], int]:
    """`main` with what a user can mend, or the machine refuses, printed as one line and turned into exit codes."""

    def run(argv: list[str]) -> int:
        try:
            return main(argv)
        except UserError as error:
            fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            return SAVED_EXIT_CODE
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes what is left when it ends
            fail("whoever read the output has closed it", UserError.exit_code)
        except OSError as error:
            if error.strerror is None:  # raised by a library, not by the system
                raise
            fail(f"{error.strerror}: {error.filename or 'a file of the run'}", UserError.exit_code)

    return run


def fail(message: str, exit_code: int) -> NoReturn:
    """Prints one line to standard error and ends the process."""
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(exit_code)


def _own_flags() -> str:
    modules = flags.FLAGS.flags_by_module_dict().values()
    own = next(module for module in modules if any(flag.name == "mode" for flag in module))
    return "\n".join(f"  --{flag.name}: {flag.help}" for flag in own)


def _check_config(argv: Sequence[str], config: Any, defaults: Mapping[str, Any]) -> None:
    """Refuses a config that has not the keys of configs/base.py."""
    if config is None:
        raise UserError(MISSING)
    file = _config_file(argv)
    if not os.path.isfile(file.partition(":")[0]):
        raise UserError(f"there is no file {file}; experiments are in configs/, and --list names them")
    try:
        keys = flatten(config.to_dict()).keys()
    except AttributeError:
        kind = type(config).__name__
        raise UserError(f"{file} is no config: its get_config gives a {kind}, not a ConfigDict") from None
    for key in sorted(keys ^ defaults.keys()):
        fault = f"has no key {key}" if key in defaults else f"has the unknown key {key}{_nearest_key(key, defaults)}"
        raise UserError(f"{file} is no config: it {fault}; begin with configs.base.experiment")


def _config_file(argv: Sequence[str]) -> str:
    """The experiment that was asked for last."""
    file = "--config"
    for word, following in zip(argv[1:], [*argv[2:], ""], strict=True):
        name, _, value = word.partition("=")
        if word.startswith("-") and name.lstrip("-") == "config":
            file = value or following or file
    return file


def _explain(argv: Sequence[str], defaults: Mapping[str, Any], error: Exception) -> str:
    names = {word.lstrip("-").partition("=")[0] for word in argv[1:] if word.startswith("-")}
    if not {"config", "flagfile"} & names:
        return MISSING
    if wrong := _wrong_key(argv, defaults):
        return wrong
    found = ILLEGAL.fullmatch(str(error))
    if not found:
        return str(error)
    if found["name"] == "config":  # its reason is a traceback, of which the last lines that are not indented count
        cause = re.split(r"\n(?=[\w.]*(?:Error|Exception|Exit)\b)", found["reason"])[-1]
        return f"{found['value']} is no config: {cause}"
    kind = KINDS.get(type(defaults.get(found["name"].removeprefix("config."))), "")
    allowed = f"allowed: {kind}" if kind else found["reason"]
    return f"{found['name']} cannot be {found['value']!r}; {allowed}"


def _wrong_key(argv: Sequence[str], defaults: Mapping[str, Any]) -> str:
    """What is wrong with the first key of the command line that no config has; "" where all are keys."""
    sections = {known.rpartition(".")[0] for known in defaults} - {""}
    for word in argv[1:]:
        name = word.lstrip("-").partition("=")[0]
        key = name.removeprefix("no").removeprefix("config.")
        if not (word.startswith("-") and name.removeprefix("no").startswith("config.")):
            continue
        if key in sections:
            first = next(known for known in defaults if known.startswith(f"{key}."))
            return f"config.{key} is a section; set one of its keys, such as config.{first}"
        if key not in defaults:
            return f"config.{key} is no config key{_nearest_key(key, defaults)}; python -m configs.base lists them all"
        if name.startswith("no") and not isinstance(defaults[key], bool):
            return f"--{name} is for keys that are true or false; config.{key} is {defaults[key]!r} unless set"
    return ""


def _nearest_key(key: str, keys: Mapping[str, Any]) -> str:
    # Closest as a whole; else the closest last part, for a key typed in the wrong section.
    whole = nearest(key, keys)
    if whole:
        return whole
    last = {known.split(".")[-1]: known for known in keys}
    guess = nearest(key.split(".")[-1], last)
    return guess and f" (did you mean {last[guess.removeprefix(' (did you mean ').removesuffix('?)')]}?)"
