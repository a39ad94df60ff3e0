import contextlib
import io
import os
import pty
import re
import termios

import pytest

from ctc_jax.reporting.progress import Progress, format_duration

ESCAPES = re.compile(r"\x1b\[\d*m")


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


def test_plain_line_tells_step_numbers_and_eta(clock):
    stream = io.StringIO()
    progress = Progress(10_000, stream=stream, clock=clock)
    progress.report(1_000, {})
    clock.now += 10.25  # 200 steps
    progress.report(1_200, {"bound_bpd": 4.812, "images_per_second": 312.4})
    last = stream.getvalue().splitlines()[-1]
    assert last == "step 1,200/10,000  bound 4.812 bpd  312 images/s  ETA 0:07:31"  # 8800 * 10.25 / 200 = 451 s


def test_compiling_is_not_multiplied_by_the_steps_left(clock):
    progress = Progress(1_000, stream=io.StringIO(), clock=clock)
    clock.now += 600  # compiles, then one step
    progress.report(1, {})
    clock.now += 10
    progress.report(11, {})
    assert progress.eta_s() == pytest.approx(989)


def test_eta_is_unknown_before_any_step(clock):
    assert Progress(10, stream=io.StringIO(), clock=clock).eta_s() is None


def test_speed_before_a_restart_stands_in_until_this_process_has_its_own(clock):
    progress = Progress(1_000, first_step=400, elapsed_before_s=800.0, stream=io.StringIO(), clock=clock)
    assert progress.eta_s() == pytest.approx(600 * 2)
    clock.now += 90  # compiling again
    progress.report(410, {})
    assert progress.eta_s() == pytest.approx(590 * 2)
    clock.now += 90
    progress.report(500, {})  # past a twentieth of the run: its own second a step
    assert progress.eta_s() == pytest.approx(500 * 1)


def test_elapsed_time_goes_on_after_a_restart(clock):
    first = Progress(100, stream=io.StringIO(), clock=clock)
    clock.now += 30
    second = Progress(100, first_step=10, elapsed_before_s=first.elapsed_s, stream=io.StringIO(), clock=clock)
    clock.now += 12
    assert second.elapsed_s == pytest.approx(42)


def test_last_step_has_nothing_left(clock):
    stream = io.StringIO()
    progress = Progress(20, first_step=10, elapsed_before_s=5.0, stream=stream, clock=clock)
    progress.report(20, {})
    assert stream.getvalue() == "step 20/20  ETA 0:00:00\n"


def test_bar_shows_numbers_and_messages_get_their_own_line(clock):
    stream = Terminal()
    progress = Progress(100, stream=stream, clock=clock)
    progress.report(25, {"bound_bpd": 4.812})
    progress.message("validation bound 4.9 bpd")
    progress.close()
    lines = stream.getvalue().replace("\r", "\n").splitlines()
    bar = next(line for line in lines if "bound 4.812 bpd" in line)
    assert bar.startswith(" 25%|")
    assert "25/100  bound 4.812 bpd" in bar
    assert "validation bound 4.9 bpd" in [line.strip() for line in lines]


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (80, ["bound 4.812 bpd", "12,345 images/s", "ETA 2 d 0:00:00"]),
        (60, ["bound 4.812 bpd", "ETA 2 d 0:00:00"]),
    ],
)
def test_bound_and_eta_stay_whole_on_a_narrow_terminal(clock, columns, shown):
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, columns))
    with os.fdopen(writer, "w") as stream:
        progress = Progress(100_000, first_step=50_000, elapsed_before_s=2 * 86_400.0, stream=stream, clock=clock)
        progress.report(50_000, {"bound_bpd": 4.812, "images_per_second": 12_345.0, "elbo_nats": -10_245.25})
        progress.close()
    written = b""
    with contextlib.suppress(OSError):  # the end of what was written
        while part := os.read(reader, 10_000):
            written += part
    os.close(reader)
    bar = [line for line in ESCAPES.sub("", written.decode()).split("\r") if "%" in line][-1]
    assert len(bar) < columns
    assert bar.count("|") == 2
    assert bar.rpartition("| ")[2].split("  ")[1:] == shown


def test_color_is_for_terminals_of_those_who_want_it(clock, monkeypatch):
    def written(stream, **environment):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        Progress(10, stream=stream, clock=clock).report(5, {"bound_bpd": 4.812})
        return stream.getvalue()

    assert ESCAPES.search(written(Terminal()))
    assert not ESCAPES.search(written(Terminal(), NO_COLOR="1"))
    assert not ESCAPES.search(written(io.StringIO()))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(451.0, "0:07:31"), (59.6, "0:01:00"), (10800.0, "3:00:00"), (172805.0, "2 d 0:00:05"), (None, "unknown")],
)
def test_duration_reads_as_a_clock(seconds, expected):
    assert format_duration(seconds) == expected
