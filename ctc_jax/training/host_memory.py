"""Keeps freed host memory in the process. Tests: tests/training/test_host_memory.py."""

import ctypes
import sys

# Parameters of mallopt(3) in glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8


def keep_host_memory() -> bool:
    """Stops glibc's malloc from handing every freed large array back to the system; says whether it could.

    XLA's CPU backend allocates its temporaries anew at each call. By default glibc maps and unmaps each of these, and
    the kernel clears every page again: a fifth of the processor time of a step whose arrays have megabytes. The price
    is that the process keeps its peak of memory.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    # One arena: those of the worker threads are small, and are given back whatever the thresholds say.
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**26, M_ARENA_MAX: 1}
    return all(mallopt(name, value) == 1 for name, value in settings.items())
