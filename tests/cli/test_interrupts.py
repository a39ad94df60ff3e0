import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctc_jax.cli.interrupts import SAME_S, SIGNALS, Interrupts, noted

ROOT = Path(__file__).parents[2]
# Code of a library: not ours by its file name. `called` runs while nobody can catch what it raises.
LIBRARY = """
import gc, signal
def finalizer(called):
    class Held:
        def __del__(self):
            called()
    Held()
def collection(called):
    gc.callbacks.append(lambda phase, info: called() if phase == "start" else None)
    try:
        gc.collect()
    finally:
        gc.callbacks.pop()
def plainly(called):
    called()
"""
library: dict = {}
exec(compile(LIBRARY, "<library>", "exec"), library)


@pytest.fixture
def handler():
    handler = Interrupts(str(Path(__file__)))
    before = signal.signal(signal.SIGTERM, handler)
    yield handler
    sys.settrace(None)
    signal.signal(signal.SIGTERM, before)


def raise_signal_in(place):
    exec(compile("import signal\ndef send(): signal.raise_signal(signal.SIGTERM)", "<library>", "exec"), names := {})
    library[place](names["send"])


@pytest.mark.parametrize("place", ["plainly", "finalizer", "collection"])
def test_a_signal_that_lands_where_nothing_can_be_raised_is_acted_on_at_our_next_line(handler, place):
    reached = []

    def work():
        raise_signal_in(place)
        reached.append("the line after")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert not reached
    assert handler.requested


def test_a_caller_acts_where_the_function_has_no_further_line(handler):
    reached = []

    def work():
        raise_signal_in("finalizer")

    def caller():
        work()
        reached.append("the line after")

    with pytest.raises(KeyboardInterrupt):
        caller()
    assert not reached


def test_a_loop_of_one_line_is_left(handler):
    def loop():
        raise_signal_in("plainly")
        return [gc.isenabled() for _ in range(10**9)]

    with pytest.raises(KeyboardInterrupt):
        loop()


def test_a_deferred_signal_is_only_noted_and_a_second_one_is_not(handler, monkeypatch):
    handler.deferred = True
    now = 10.0
    monkeypatch.setattr(handler, "_clock", lambda: now)
    signal.raise_signal(signal.SIGTERM)
    assert handler.requested

    now += SAME_S / 2
    signal.raise_signal(signal.SIGTERM)  # the same one, by way of another process
    now += SAME_S

    def again():
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("a line after the second signal")

    with pytest.raises(KeyboardInterrupt):
        again()


def test_signals_that_are_ignored_stay_so_and_handlers_come_back():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with noted() as handler:
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGTERM) == before[signal.SIGTERM]
    finally:
        signal.signal(signal.SIGINT, before[signal.SIGINT])


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_modules_are_imported_ends_the_launcher_without_a_word(number):
    before = signal.signal(number, signal.SIG_DFL)  # a job in the background is started with interrupts ignored
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "launch.py", "--help"],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(number, before)
    for line in process.stderr:
        if line.endswith("absl.flags\n"):
            break
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert output == ""
    assert not [line for line in errors.splitlines() if not line.startswith("import time:")]
