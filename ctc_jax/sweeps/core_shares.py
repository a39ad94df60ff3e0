"""Cores for the runs of a sweep that go at once on one machine. Tests: tests/sweeps/test_core_shares.py."""

import os


def core_shares(runs: int) -> list[frozenset[int]]:
    """This process's cores in equal shares, one for each of the runs that go at once.

    Processes that all use every core wait for one another: two runs on two cores are faster with a core each.

    Returns:
      Shares whose sizes differ by one at most; empty where every run is to have all cores: one at a time, more of them
      than cores, or a system that pins no process.
    """
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    if runs < 2 or runs > len(cores):
        return []
    return [frozenset(cores[len(cores) * run // runs : len(cores) * (run + 1) // runs]) for run in range(runs)]
