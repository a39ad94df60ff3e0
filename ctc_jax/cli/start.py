"""Where the command `ctc-jax` begins, before anything slow is imported. Tests: tests/cli/test_start.py."""

import gc
import sys

from ctc_jax.cli import interrupts, watched


def start() -> None:
    """Reads the command line and ends the process with the exit code."""
    if any(word.lstrip("-") in ("distributed", "distributed=true") for word in sys.argv[1:]):
        watched.watch()
    interrupts.leave_at_once()  # the import below takes a second
    # What is imported stays until the process ends: to look for garbage among it, now and at the end, is half as long.
    gc.disable()
    from ctc_jax.cli import command

    gc.freeze()
    gc.enable()
    command.run()
