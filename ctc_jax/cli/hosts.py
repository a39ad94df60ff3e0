"""One run on several hosts, a process on each. Tests: tests/cli/test_hosts.py, tests/test_several_processes.py."""

import faulthandler
import os
import sys
import traceback
from collections.abc import Callable

import jax
from absl import flags, logging

from ctc_jax.cli.watched import GONE
from ctc_jax.errors import SAVED_EXIT_CODE, UserError

DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "Be one of several processes of a run; on Slurm, Kubernetes and TPU pods all else is known."
)
COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of the first process, where nothing says it.")
PROCESSES = flags.DEFINE_integer("processes", None, "How many processes a run has, with --coordinator.", lower_bound=1)
PROCESS = flags.DEFINE_integer("process", None, "The number of this one, from 0, with --coordinator.", lower_bound=0)
WAIT = flags.DEFINE_integer("wait_s", 300, "Seconds that processes wait for one another at the start.", lower_bound=1)
# What the libraries say when a process no longer answers.
LOST = ("Gloo", "coordination service", "CoordinationService", "heartbeat", "NCCL")


def together(work: Callable[[], int]) -> int:
    """`work` in this process as one of several, where the flags say so; its exit code.

    An error in one process ends all: whoever waits for it in a sum over the devices would wait for ever. So it does not
    stay for the others to end, and they say that it is gone.

    Raises:
      UserError: the flags do not fit, or nothing says which process this is.
    """
    _check()
    if not DISTRIBUTED.value:
        return work()
    try:
        _join()
        code = work()
    except KeyboardInterrupt:
        return _leave("", SAVED_EXIT_CODE)
    except Exception as error:
        if any(word in str(error) for word in LOST):
            return _leave(f"error: {GONE}", SAVED_EXIT_CODE)
        if isinstance(error, UserError):
            return _leave(f"error: {' '.join(str(error).split())}", error.exit_code)
        return _leave(traceback.format_exc(), 1)
    jax.distributed.shutdown()  # waits for the others
    return code


def check_none() -> None:
    """Refuses the flags where a process starts others.

    Raises:
      UserError: one of them is set.
    """
    if DISTRIBUTED.value:
        raise UserError("--distributed is for one run, not for --sweep or --search")


def _check() -> None:
    named = [f"--{flag.name}" for flag in (COORDINATOR, PROCESSES, PROCESS) if flag.value is not None]
    if named and not DISTRIBUTED.value:
        raise UserError(f"{named[0]} is for --distributed")
    if len(named) not in (0, 3):
        raise UserError(f"{named[0]} goes with --coordinator, --processes and --process: give all three or none")
    if named and PROCESS.value >= PROCESSES.value:
        raise UserError(
            f"--process is {PROCESS.value}; allowed: 0 to {PROCESSES.value - 1}, with --processes={PROCESSES.value}"
        )
    if named and not COORDINATOR.value.rpartition(":")[2].isdigit():
        raise UserError(f"--coordinator is {COORDINATOR.value!r}; allowed: HOST:PORT, the port free on that host")


def _join() -> None:
    logging.set_verbosity(logging.WARNING)  # JAX tells whom it connects to
    faulthandler.enable(2)  # absl's goes to Python's own stream; an abort is told by the process that watches
    try:
        jax.distributed.initialize(COORDINATOR.value, PROCESSES.value, PROCESS.value, initialization_timeout=WAIT.value)
    except (ValueError, RuntimeError) as error:
        if COORDINATOR.value:
            raise UserError(f"--coordinator={COORDINATOR.value}: {str(error).splitlines()[0]}") from None
        raise UserError(
            "--distributed: nothing here says which process this is, as Slurm, Kubernetes and TPU pods do; give "
            "--coordinator=HOST:PORT --processes=N --process=I"
        ) from None


def _leave(told: str, code: int) -> int:
    """Ends this process without waiting for the others, as the end of Python would."""
    if told:
        print(told, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
