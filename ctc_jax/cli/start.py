"""Where the command `ctc-jax` begins, before anything is imported that takes seconds. Tests: tests/test_launch.py."""

from ctc_jax.cli import interrupts


def start() -> None:
    """Reads the command line and ends the process with the exit code."""
    interrupts.leave_at_once()  # the import below takes seconds
    from ctc_jax.cli import command

    command.run()
