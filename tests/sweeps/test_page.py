"""The page of a sweep as a browser shows it, and what it says without one."""

import re

import numpy as np
import pytest

from ctc_jax.reporting import save_png, write_report
from ctc_jax.sweeps.page import better, write_sweep_page
from tests.browser import Browser

BOUNDS = {("ctc", 0): -90.5, ("ctc", 1): -88.5, ("logistic", 0): -100.0, ("logistic", 1): -7.0, ("gaussian", 0): None}


def row(likelihood, seed, bound):
    """A run as in sweep.json; the one of a bound that is too good failed, the one without is waiting."""
    state = "waiting" if bound is None else "failed" if bound > -50 else "finished"
    numbers = {} if bound is None else {"importance_bound_nats": bound, "bound_bpd": -bound / 50, "images": 10}
    return {
        "name": f"likelihood.name={likelihood},seed={seed}",
        "state": state,
        "exit_code": 3 if state == "failed" else 0,
        "overrides": {"likelihood.name": likelihood, "seed": seed},
        "split": "test" if numbers else "",
        "step": 1200 if numbers else None,
        "numbers": numbers,
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep")
    rows = [row(*of, bound) for of, bound in BOUNDS.items()]
    histories = {}
    for one in rows[:4]:
        name, bound = one["name"], one["numbers"]["bound_bpd"]
        lines = [{"step": step, "split": "train", "bound_bpd": bound + 4.0 / step} for step in (1, 2, 3)]
        histories[name] = lines
        save_png(root / name / "samples" / "samples.png", np.full((80, 80, 3), 99, np.uint8))
        given = {"summary": {}, "history": lines, "config": {}, "provenance": {}, "pictures": ()}
        write_report(root / name / "report.html", title=f"report of {name}", **given)
    write_sweep_page(root / "sweep.html", "likelihoods on shapes", {"config": "c.py"}, rows, histories)
    return root / "sweep.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def column(browser, table, place):
    rows = f"[...document.querySelectorAll('.sortable')[{table}].tBodies[0].rows]"
    return browser.ask(f"{rows}.map(row => row.cells[{place}].textContent)")


def test_means_stand_with_their_standard_errors_and_the_best_is_marked(page):
    text = page.read_text()
    # Of -90.5 and -88.5: deviation sqrt(2), over sqrt(2).
    assert "-89.50 ± 1</td>" in text
    # In the table of means ctc, in that of runs its second seed; the failed run, though its figure is higher, in none.
    assert re.findall(r'class="best">(-[^<]*)<', text) == ["-89.50 ± 1", "-88.50"]


def test_a_heading_sorts_the_runs_by_number_best_first_and_then_the_other_way(browser, page):
    browser.open(page)
    heading = "div.wide:last-of-type th:nth-child(3) button"
    browser.click(heading)
    assert column(browser, 1, 2) == ["-7.000", "-88.50", "-90.50", "-100.00", ""]
    assert browser.ask(f"document.querySelector('{heading}').parentElement.ariaSort") == "descending"
    browser.click(heading)
    assert column(browser, 1, 2) == ["-100.00", "-90.50", "-88.50", "-7.000", ""]


def test_a_heading_sorts_by_words(browser, page):
    browser.open(page)
    browser.click("div.wide:last-of-type th:nth-child(2) button")
    assert column(browser, 1, 1) == ["failed (3)", "finished", "finished", "finished", "waiting"]


def test_a_run_opens_by_a_click_on_its_name_and_on_its_samples(browser, page):
    for selector, name in (("td a", "likelihood.name=ctc,seed=0"), (".samples a", "likelihood.name=ctc,seed=0")):
        browser.open(page)
        browser.click(selector)
        browser.wait_for(f"document.title == 'report of {name}'")


def test_samples_of_each_config_are_shown_beside_each_other_in_the_color_of_their_curve(browser, page):
    browser.open(page, width=390, height=844)
    places = browser.ask(
        "[...document.querySelectorAll('.samples img')].map(of => of.getBoundingClientRect().toJSON())"
    )
    assert [browser.ask(f"document.querySelectorAll('.samples figcaption')[{at}].textContent") for at in (0, 1)] == [
        "likelihood ctc",
        "likelihood logistic",
    ]
    assert len(places) == 2  # nothing of the config whose run waits
    assert places[0]["top"] == places[1]["top"]
    assert places[0]["right"] < places[1]["left"]
    swatch, curve = (
        browser.ask(f"getComputedStyle(document.querySelector('{of}'))['{property}']")
        for of, property in ((".samples .swatch", "backgroundColor"), ("polyline", "stroke"))
    )
    assert swatch == curve


def test_on_a_phone_the_page_is_no_wider_and_the_names_stay_while_a_table_scrolls(browser, page):
    browser.open(page, width=390, height=844)
    assert browser.ask("document.documentElement.scrollWidth") == 390
    table = "document.querySelectorAll('.wide')[1]"
    assert browser.ask(f"{table}.scrollWidth > {table}.clientWidth")
    name = f"{table}.querySelector('tbody td').getBoundingClientRect().left"
    before = browser.ask(name)
    browser.ask(f"{table}.scrollLeft = 200")
    assert browser.ask(name) == before


def test_what_is_better_is_known_by_the_name():
    names = ("importance_bound_nats", "elbo_nats", "bound_bpd", "images", "importance_bound_standard_error_nats")
    assert [better(name) for name in names] == [1, 1, -1, 0, 0]
