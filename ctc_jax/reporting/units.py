"""Metric names that carry their unit, said in words: `bound_bpd` is "bound", 4.812, "bpd". Tests: test_units.py."""

import math
from numbers import Integral
from typing import SupportsFloat

# The part of a name that is a unit, and how it is written beside a number.
UNITS = {
    "bpd": "bpd",
    "nats": "nats",
    "nats_per_dimension": "nats a dimension",
    "seconds": "s",
    "ms": "ms",
    "mib": "MiB",
    "images_per_second": "images/s",
    "steps_per_second": "steps/s",
    "percent": "%",
    "decades": "decades",
}


def split_unit(name: str) -> tuple[str, str]:
    """A metric's name in words, and its unit ("" when the name carries none).

    `kl_nats/top` gives ("kl top", "nats"); `gap/elbo_nats`, whose parts are of several units, ("gap elbo", "nats");
    `images_per_second` gives ("", "images/s").
    """
    parts = name.split("/")
    suffix = next((suffix for suffix in UNITS if parts[0] == suffix or parts[0].endswith(f"_{suffix}")), "")
    place = 0 if suffix else -1
    suffix = suffix or next((suffix for suffix in UNITS if parts[-1].endswith(f"_{suffix}")), "")
    parts[place] = parts[place].removesuffix(suffix).rstrip("_")
    return " ".join(part.replace("_", " ") for part in parts if part), UNITS.get(suffix, "")


def format_number(value: SupportsFloat | str, unit: str = "") -> str:
    """Four significant digits, thousands apart; nats to a hundredth; rates above 10 whole; a text as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, Integral):
        return f"{int(value):,}"
    number = float(value)
    size = abs(number)
    if not math.isfinite(number) or number == 0:
        return f"{number:g}"
    if size >= 1e9 or size < 1e-3:
        return f"{number:.3e}"
    if unit == "nats" and size >= 100:  # models differ by tenths of a nat, however many nats an image has
        return f"{number:,.2f}"
    if size >= 1000 or (unit.endswith("/s") and size >= 10):
        return f"{number:,.0f}"
    return f"{number:.{3 - max(-1, math.floor(math.log10(size)))}f}"


def describe(name: str, value: SupportsFloat | str) -> str:
    """One metric as a phrase: `bound 4.812 bpd`, `312 images/s`."""
    words, unit = split_unit(name)
    return " ".join(part for part in (words, format_number(value, unit), unit) if part)
