import os
import signal
import subprocess
import sys

import pytest

from ctc_jax.cli.watched import APART, GONE
from ctc_jax.errors import SAVED_EXIT_CODE

BEGIN = "import os, signal, sys, time\nfrom ctc_jax.cli import watched\nwatched.watch()\n"


def run(work: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", BEGIN + work], capture_output=True, text=True, timeout=60)


def test_the_worker_tells_and_its_exit_code_is_kept():
    done = run(
        "print('told'); print('and this', file=sys.stderr); os.write(1, b'noise'); os.write(2, b'noise'); sys.exit(3)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "told\n", "and this\n")


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ("the JAX distributed service detected fatal errors", GONE),
        ("the JAX distributed service detected fatal errors RPC: RegisterTask", APART),
    ],
)
def test_an_abort_of_the_coordination_service_is_told_in_one_line(noise, message):
    done = run(f"os.write(2, {noise.encode()!r}); os.abort()")
    assert (done.returncode, done.stderr) == (SAVED_EXIT_CODE, f"error: {message}\n")


def test_another_death_shows_all_that_was_said():
    done = run("os.write(2, b'a trace\\n'); os.kill(os.getpid(), signal.SIGSEGV)")
    assert done.returncode == 128 + signal.SIGSEGV
    assert done.stderr == "a trace\nerror: the process died of SIGSEGV\n"


def test_a_signal_reaches_the_worker():
    work = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\nprint('ready', flush=True)\ntime.sleep(50)"
    started = subprocess.Popen([sys.executable, "-c", BEGIN + work], stdout=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "ready\n"
    os.kill(started.pid, signal.SIGTERM)
    assert started.wait(timeout=20) == 75
    started.stdout.close()
