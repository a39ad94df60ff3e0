import os
import pickle
import signal
import sys
import threading
import time

import pytest

from ctc_jax.sweeps.job import Job

# A job's process has no JAX in it; this one may, from other tests, and JAX warns of every fork.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")


@pytest.fixture(autouse=True)
def signals_restored():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def python(code):
    return [sys.executable, "-S", "-c", code]


def job(command, log, **options):
    return Job(command, log, log.with_name("note"), local=True, **options)


def when_log_has(log, words, action):
    """Does the action, in a thread, once the log has these words."""

    def wait():
        while not log.exists() or words not in log.read_text():
            time.sleep(0.01)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_exit_code_comes_back_and_output_is_appended(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    assert job(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"), log)() == 7
    assert log.read_text().split() == ["before", "out", "err"]


def test_the_command_alone_has_the_cores_it_is_given(tmp_path):
    before, log = os.sched_getaffinity(0), tmp_path / "log"
    one = max(before)
    assert job(python("import os; print(*os.sched_getaffinity(0))"), log, cores=(one,))() == 0
    assert log.read_text().split() == [str(one)]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("devices", [None, "1,2"])
def test_command_sees_the_gpus_that_the_sweep_sees(tmp_path, monkeypatch, devices):
    if devices is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    made = Job(
        python("import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))"),
        tmp_path / "log",
        tmp_path / "note",
        local=True,
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # as submitit's local executor does
    assert made() == 0
    assert (tmp_path / "log").read_text().strip() == str(devices)


def test_first_sigterm_lets_the_command_save(tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(5)))\n"
        "print('ready'); time.sleep(60)"
    )
    thread = when_log_has(tmp_path / "log", "ready", lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert job(python(code), tmp_path / "log")() == 5
    thread.join()
    assert (tmp_path / "log").read_text().split() == ["ready", "saved"]


def test_second_sigterm_kills_a_command_that_does_not_end(tmp_path):
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('no'))\n"
        "print('ready')\n"
        "while True: time.sleep(1)"
    )
    log = tmp_path / "log"
    threads = [
        when_log_has(log, "ready", lambda: os.kill(os.getpid(), signal.SIGTERM)),
        when_log_has(log, "no", lambda: os.kill(os.getpid(), signal.SIGTERM)),
    ]
    assert job(python(code), log)() == -signal.SIGKILL
    for thread in threads:
        thread.join()


def test_command_answers_interrupts_though_the_sweep_ignores_them(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        job(python(code), tmp_path / "log")()
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "log").read_text().strip() == "True"


def test_job_queued_again_after_a_time_limit_is_the_same(tmp_path):
    job = pickle.loads(pickle.dumps(Job(["program", "argument"], tmp_path / "log", tmp_path / "note", local=False)))
    again = job.checkpoint().function
    kept = (again.command, again.log, again.note, again.local)
    assert kept == (("program", "argument"), tmp_path / "log", tmp_path / "note", False)


def test_the_exit_code_is_noted_and_absent_while_the_command_runs_again(tmp_path):
    note = tmp_path / "note"
    assert Job(python("raise SystemExit(75)"), tmp_path / "log", note, local=False)() == 75
    assert note.read_text() == "75\n"
    code = f"import pathlib; raise SystemExit(pathlib.Path({str(note)!r}).exists())"
    assert Job(python(code), tmp_path / "log", note, local=False)() == 0
    assert note.read_text() == "0\n"
