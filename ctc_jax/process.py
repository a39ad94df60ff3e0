"""Which of several processes speaks for a run. Floor 0. Tests: tests/test_process.py."""

import jax


def is_leader() -> bool:
    """Whether this process writes the files of a run and tells of it: the first of several hosts, or the only one.

    Checkpoints are an exception: all processes take part in writing one, and orbax asks by itself. Cached data is
    another: each host may have a disk of its own.
    """
    # Asking for the number of a process starts JAX's backends, which a launcher of other runs must leave alone.
    return not jax.distributed.is_initialized() or jax.process_index() == 0
