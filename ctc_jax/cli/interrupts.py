"""SIGTERM and Ctrl-C: noted where they arrive, acted on at a line of our own. Tests: tests/cli/test_interrupts.py.

Python runs a handler wherever the main thread happens to be. An exception raised there is lost where nobody can catch
it (a callback of JAX, a finalizer of the garbage collector), and it may leave a lock of a library held.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ctc_jax.errors import SAVED_EXIT_CODE

PACKAGE = str(Path(__file__).parents[1]) + os.sep
SAME_S = 0.5  # a scheduler signals every process of a job, and one that watches another passes its signal on as well
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupts:
    """Handler of signals: raises KeyboardInterrupt before the next line of our own code, or waits to be asked.

    Args:
      ours: what the file names of our own code begin with.
      clock: seconds that only increase.

    Attributes:
      requested: whether a signal came.
      deferred: whether the first one is only noted, for code that asks for `requested` and ends by itself.
    """

    def __init__(self, ours: str = PACKAGE, clock: Callable[[], float] = time.monotonic):
        self._ours, self._clock = ours, clock
        self._first_s = 0.0
        self.requested = False
        self.deferred = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Notes the signal. A second one is not deferred, unless it is the same, sent to a whole group of processes."""
        if not self.requested:
            self._first_s = self._clock()
        deferred = self.deferred and self._clock() - self._first_s < SAME_S
        self.requested = True
        if not deferred:
            self._raise_before_our_next_line(frame)

    def _raise_before_our_next_line(self, frame: FrameType | None) -> None:
        # A trace function of a frame is called before each of its lines, and raises there as if the line had.
        while frame is not None:
            if frame.f_code.co_filename.startswith(self._ours):
                frame.f_trace = self._raise
            frame = frame.f_back
        sys.settrace(lambda *_: None)  # traces no new frame; without one, the frames above are not traced either

    def _raise(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event != "line":
            return self._raise
        sys.settrace(None)
        raise KeyboardInterrupt


@contextmanager
def noted() -> Iterator[Interrupts]:
    """The signals go to `Interrupts` until the block ends; those that whoever started us had ignored stay so."""
    handler = Interrupts()
    previous = {number: _handle(number, handler) for number in SIGNALS}
    try:
        yield handler
    finally:
        sys.settrace(None)
        for number, old in previous.items():
            signal.signal(number, old)


def leave_at_once() -> None:
    """Lets a signal end the process without a word, with the code of one that goes on when started again.

    For the time before there is anything to save or to give back: imports and the reading of the command line.
    """
    for number in SIGNALS:
        _handle(number, lambda *_: os._exit(SAVED_EXIT_CODE))


def _handle(number: int, handler: Any) -> Any:
    old = signal.getsignal(number)
    if old != signal.SIG_IGN:
        signal.signal(number, handler)
    return old
