"""Which of several processes speaks for a run, and how they agree. Floor 0. Tests: tests/test_process.py."""

import jax
import numpy as np


def is_leader() -> bool:
    """Whether this process writes the files of a run and tells of it: the first of several hosts, or the only one.

    Checkpoints are an exception: all processes take part in writing one, and orbax asks by itself. Cached data is
    another: each host may have a disk of its own.
    """
    # Asking for the number of a process starts JAX's backends, which a launcher of other runs must leave alone.
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def any_of_all(flag: bool) -> bool:
    """Whether the flag is set in any process; every process must ask, and waits for the others."""
    if not jax.distributed.is_initialized():
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def leaders(flag: bool) -> bool:
    """The leading process's flag, for what another could see differently: a file, for example."""
    return any_of_all(flag and is_leader())


def wait_for_all(where: str) -> None:
    """Returns when every process is here; `where` names the place."""
    if jax.distributed.is_initialized():
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(where)


def whole(array: jax.Array) -> np.ndarray:
    """An array's values on this host, also of one that is split over several; then every process must ask."""
    if array.is_fully_addressable or array.is_fully_replicated:
        return np.asarray(array)
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=True)
