"""The report as a browser shows it: in light and dark, and as wide as a phone."""

import subprocess

import numpy as np
import pytest

from ctc_jax.reporting import Picture, save_png, write_report
from tests.browser import Browser

HISTORY = [
    {"step": step, "split": "train", "bound_bpd": 900.0 if step == 1 else 5.0 - step / 50, "kl_nats/top": 1.0 * step}
    for step in range(1, 51)
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save_png(folder / "samples.png", np.zeros((96, 800, 3), np.uint8))
    write_report(
        folder / "report.html",
        title="a_name_of_a_run_that_is_longer_than_a_phone_is_wide_in_any_font",
        summary={"bound_bpd": 4.0, **{f"kl_nats/level_{number}": 1.0 for number in range(4)}},
        history=HISTORY,
        config={"seed": 3, "model": {"name": "vae", "a_key_that_is_as_long_as_our_longest_keys_are": 1}},
        defaults={"seed": 0, "model.name": "vae", "model.a_key_that_is_as_long_as_our_longest_keys_are": 0},
        provenance={"command": ["python", "launch.py", "--config=configs/a b.py"]},
        pictures=[Picture("Samples", folder / "samples.png")],
        about={"bound": "4.0 bpd", "data": "shapes"},
    )
    return folder / "report.html"


def color(browser, selector, property):
    return browser.ask(f"getComputedStyle(document.querySelector('{selector}')).{property}")


def test_curves_and_text_follow_dark_mode(browser, report):
    seen = {}
    for dark in (False, True):
        browser.open(report, dark=dark)
        seen[dark] = [
            color(browser, *of) for of in (("body", "backgroundColor"), ("polyline", "stroke"), ("text tspan", "fill"))
        ]
    assert seen == {
        False: ["rgb(255, 255, 255)", "rgb(59, 118, 175)", "rgb(28, 33, 40)"],
        True: ["rgb(20, 24, 29)", "rgb(107, 166, 224)", "rgb(227, 231, 235)"],
    }


@pytest.mark.parametrize("width", [390, 1100])
def test_nothing_is_wider_than_the_window(browser, report, width):
    browser.open(report, width=width, height=844)
    assert browser.ask("document.documentElement.scrollWidth") == width


def test_the_point_off_the_panel_is_seen_within_it(browser, report):
    browser.open(report)
    panel, mark = (
        browser.ask(f"document.querySelector('{of}').getBoundingClientRect().toJSON()")
        for of in (".panels > svg", ".off")
    )
    assert panel["left"] < mark["left"] < mark["right"] < panel["right"]
    assert panel["top"] < mark["top"] < mark["bottom"] < panel["bottom"]
    assert mark["height"] > 5


def test_keys_at_their_defaults_are_folded_up_until_they_are_asked_for(browser, report):
    browser.open(report)
    shown = "document.querySelector('details table').checkVisibility()"
    assert browser.ask(shown) is False
    browser.click("summary")
    assert browser.ask(shown) is True


def test_a_click_marks_the_whole_command_as_a_shell_takes_it(browser, report):
    browser.open(report)
    browser.click("pre")
    marked = browser.ask("getSelection().toString()")
    done = subprocess.run(["sh", "-c", marked.replace("python", "printf %s,", 1)], capture_output=True, check=True)
    assert done.stdout == b"launch.py,--config=configs/a b.py,"
