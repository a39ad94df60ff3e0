"""Latents by the resolution they lie at, which their names say. Tests: tests/models/test_resolutions.py."""

from collections.abc import Iterable


def by_resolution(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of latents that agree up to their last dot, as `8x8.1` and `8x8.2` do; any other is alone."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.rpartition(".")[0] or name, []).append(name)
    return found
