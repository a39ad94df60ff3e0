"""A sweep file's runs: lists of overrides, checked against the base config and named. Tests: test_expand.py.

A sweep file is a Python file with `get_overrides()`, which yields one flat mapping of dotted config keys to values a
run, for example `{"likelihood.name": "ctc", "seed": 1}`, and, where Slurm or GPUs ask for it, `RESOURCES`: submitit's
parameters, for example `{"timeout_min": 600, "gpus_per_node": 1, "slurm_partition": "gpu"}`.
"""

import dataclasses
import hashlib
import itertools
import json
import random
import re
import runpy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ctc_jax.errors import ConfigError, UserError, nearest
from ctc_jax.options import check_used, flatten

Overrides = dict[str, Any]
Draw = Callable[[random.Random], Any]
LONGEST_NAME = 120  # file systems take 255 bytes


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of a sweep: its name, which is its folder's, and what it changes in the base config."""

    name: str
    overrides: Overrides


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The runs of a sweep file, and what a scheduler is to give each of them."""

    trials: tuple[Trial, ...]
    resources: Mapping[str, Any]


def product(axes: Mapping[str, Iterable[Any]]) -> list[Overrides]:
    """Every combination of the axes' values; the last axis changes fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def crossed(*lists: Iterable[Overrides]) -> list[Overrides]:
    """Every combination of one entry of each list; where two set one key, the later list wins."""
    return [{key: value for part in parts for key, value in part.items()} for parts in itertools.product(*lists)]


def zipped(axes: Mapping[str, Iterable[Any]]) -> list[Overrides]:
    """The first value of every axis together, then the second, and so on.

    Raises:
      ValueError: the axes have not as many values each.
    """
    return [dict(zip(axes, values, strict=True)) for values in zip(*axes.values(), strict=True)]


def drawn(axes: Mapping[str, Draw], runs: int, seed: int = 0) -> list[Overrides]:
    """Random search: `runs` draws of every axis, each a function of a `random.Random`.

    For example `{"train.learning_rate": lambda r: 10 ** r.uniform(-4, -2), "seed": lambda r: r.randrange(3)}`.
    The first draws stay the same where `runs` grows. A learning rate is better drawn by its logarithm.
    """
    generator = random.Random(seed)
    return [{key: draw(generator) for key, draw in axes.items()} for _ in range(runs)]


def load_sweep(path: str, base_config: Any) -> Sweep:
    """Reads a sweep file and checks every run before anything starts.

    Args:
      path: the Python file.
      base_config: the `ConfigDict` that the runs change.

    Raises:
      UserError: the file cannot be read, fails, or yields no run or the same run twice.
      ConfigError: an override names no key of the config, has a value of another type, or is of a part not chosen.
    """
    if not Path(path).is_file():
        raise UserError(f"sweep file {path} does not exist")
    try:
        names = runpy.run_path(path)
        listed = list(names["get_overrides"]())
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, KeyError) and error.args == ("get_overrides",):
            raise UserError(f"sweep file {path} has no function get_overrides()") from None
        raise UserError(f"sweep file {path} fails: {type(error).__name__}: {error}") from error
    if not listed:
        raise UserError(f"sweep file {path} yields no run")
    for overrides in listed:
        if not isinstance(overrides, Mapping):
            raise UserError(
                f"sweep file {path} yields {overrides!r}; allowed: mappings of dotted config keys to values"
            )
    base = flatten(base_config.to_dict())
    runs = [checked({str(key): _plain(value) for key, value in overrides.items()}, base) for overrides in listed]
    named = [Trial(run_name(overrides), overrides) for overrides in runs]
    for first, second in itertools.pairwise(sorted(run.name for run in named)):
        if first == second:
            raise UserError(f"sweep file {path} yields the run {first} twice")
    return Sweep(tuple(named), names.get("RESOURCES", {}))


def run_name(overrides: Overrides) -> str:
    """A folder name such as `likelihood.name=ctc,seed=1` that depends on these overrides alone.

    Letters that a file system or a shell may not like become `-`; then, and when the name would be long, a digest of
    the overrides keeps it unique.
    """
    text = ",".join(f"{key}={value}" for key, value in overrides.items()) or "base"
    values = "".join(map(str, overrides.values()))
    safe = re.sub(r"[^A-Za-z0-9._,=+-]", "-", text)
    if safe == text and len(text) <= LONGEST_NAME and not set(values) & {",", "="}:
        return text
    digest = hashlib.sha256(json.dumps(list(overrides.items()), default=str).encode()).hexdigest()[:8]
    return f"{safe[: LONGEST_NAME - 9]}-{digest}"


def _plain(value: Any) -> Any:
    """A numpy scalar as a Python one."""
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value


def checked(overrides: Overrides, base: Mapping[str, Any]) -> Overrides:
    """The overrides, if the config has their keys, with values of these types, and its parts use them.

    Raises:
      ConfigError: by the key.
    """
    for key, value in overrides.items():
        if key not in base:
            raise ConfigError(key, value, f"only keys that the config has{nearest(key, base)}")
        expected = type(base[key])
        as_float = expected is float and type(value) is int
        if base[key] is not None and type(value) is not expected and not as_float:
            raise ConfigError(key, value, f"a value of type {expected.__name__}")
    check_used({**base, **overrides}, overrides)
    return overrides
