"""A process watched by the one that was started, which has the last word. Tests: tests/cli/test_watched.py.

Where one of several processes is gone, JAX's coordination service ends the others by an abort: after it, no line of
theirs runs any more, and what stands on the terminal is a trace of C++. Imports nothing that takes time.
"""

import os
import signal
import sys
import tempfile
from typing import IO

from ctc_jax.errors import SAVED_EXIT_CODE

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SERVICE = "distributed service"  # what JAX calls the cause of such an abort
START = "RegisterTask"  # the call that waits for all processes at the start
GONE = "another process of this run is gone; the same command, in all processes, goes on from the last checkpoint"
APART = "the processes have not found one another: are all of them started, and do they know the same coordinator?"


def watch() -> None:
    """Splits off the process that does the work, where this returns; the first one waits, and exits as that one did.

    What libraries of the worker write to the terminal without Python's knowledge is kept back, and shown only if the
    worker ends by a signal for another reason than that a process of the run is gone.
    """
    kept = tempfile.TemporaryFile()  # noqa: SIM115
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # none is lost before there is somebody to pass it on to
    worker = os.fork()
    if not worker:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        _tell_apart(kept)
        return
    for number in SIGNALS:
        signal.signal(number, lambda received, _: os.kill(worker, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    _, status = os.waitpid(worker, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        kept.seek(0)
        code = _last_word(kept.read().decode(errors="replace"), -code)
    sys.stdout.flush()
    os._exit(code)


def _tell_apart(kept: IO[bytes]) -> None:
    """Python's streams keep the terminal; what is written past them goes to the file."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        setattr(sys, name, open(os.dup(number), "w", buffering=1))  # noqa: SIM115
        os.dup2(kept.fileno(), number)


def _last_word(said: str, number: int) -> int:
    """Tells why a worker died of a signal, and gives the exit code."""
    if number == signal.SIGABRT and SERVICE in said:
        print(f"error: {APART if START in said else GONE}", file=sys.stderr, flush=True)
        return SAVED_EXIT_CODE
    print(f"{said}error: the process died of {signal.Signals(number).name}", file=sys.stderr, flush=True)
    return 128 + number
