"""Latents by what their names say, and the numbers of many of them in few lines. Tests: test_latent_groups.py."""

import itertools
import re
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import SupportsFloat

from ctc_jax.reporting.units import format_number, split_unit

# More latents than these are told together, those without a resolution in so many ranges.
MANY, RANGES = 12, 8
# Numbers that are sums over what a latent consists of, and so over latents too.
SUMS = ("kl_nats", "mask_kl_nats", "active_units")

Number = SupportsFloat | str


def by_resolution(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of latents that agree up to their last dot, as `8x8.1` and `8x8.2` do; any other is alone."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.rpartition(".")[0] or name, []).append(name)
    return found


def natural(name: str) -> list[str | int]:
    """Sorts `8x8.2` before `8x8.10`, and both before `16x16.1`."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def together(names: Iterable[str]) -> dict[str, list[str]]:
    """Of more than `MANY` names those of a resolution, or where these are no fewer neighbors, under a name for all."""
    names = list(names)
    if len(names) <= MANY:
        return {name: [name] for name in names}
    names.sort(key=natural)
    groups = by_resolution(names)
    if len(groups) < len(names):
        return {f"{of}, {len(some)} latents" if len(some) > 1 else some[0]: some for of, some in groups.items()}
    ends = [len(names) * end // RANGES for end in range(RANGES + 1)]
    ranges = [names[start:end] for start, end in itertools.pairwise(ends)]
    return {f"{some[0]} to {some[-1]}" if len(some) > 1 else some[0]: some for some in ranges}


def grouped(numbers: Mapping[str, Number]) -> dict[str, Number]:
    """The numbers with those of many latents told together: sums of what is one, else from the least to the greatest.

    Args:
      numbers: by name; `kl_nats/8x8.1` is the number `kl_nats` of the latent `8x8.1`.
    """
    parts: dict[str, list[str]] = {}
    for name, value in numbers.items():
        measure, slash, part = name.partition("/")
        if slash and isinstance(value, Real):
            parts.setdefault(measure, []).append(part)
    found: dict[str, Number] = {}
    for name, value in numbers.items():
        measure, _, part = name.partition("/")
        if part not in parts.get(measure, ()):
            found[name] = value
        elif part == parts[measure][0]:
            for label, some in together(parts[measure]).items():
                values = [numbers[f"{measure}/{one}"] for one in some]
                found[f"{measure}/{label}"] = sum(values) if measure in SUMS else _range(values, measure)
    return found


def _range(values: list[Number], name: str) -> Number:
    if len(values) == 1:
        return values[0]
    ends = min(values, key=float), max(values, key=float)
    least, greatest = (format_number(one, split_unit(name)[1]) for one in ends)
    return f"{least} to {greatest}"
