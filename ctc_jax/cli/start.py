"""Where the command `ctc-jax` begins, before anything slow is imported. Tests: tests/cli/test_start.py."""

import gc

from ctc_jax.cli import interrupts


def start() -> None:
    """Reads the command line and ends the process with the exit code."""
    interrupts.leave_at_once()  # the import below takes a second
    # What is imported stays until the process ends: to look for garbage among it, now and at the end, is half as long.
    gc.disable()
    from ctc_jax.cli import command

    gc.freeze()
    gc.enable()
    command.run()
