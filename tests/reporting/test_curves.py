import math
from xml.etree import ElementTree

import numpy as np
import pytest

from ctc_jax.reporting import curves
from ctc_jax.reporting.curves import COLORS, color, draw_curves, robust_limits, series

SVG = "{http://www.w3.org/2000/svg}"


def polylines(panel):
    """Colors and numbers of corners of the lines of a panel."""
    found = ElementTree.fromstring(panel).iter(f"{SVG}polyline")
    return [(of.get("style").partition(";")[0], len(of.get("points").split())) for of in found]


def test_series_takes_one_metric_of_one_split():
    history = [
        {"step": 1, "split": "train", "bound_bpd": 3.0},
        {"step": 1, "split": "validation", "bound_bpd": 9.0},
        {"step": 2, "split": "train", "bound_bpd": math.nan},
        {"step": 3, "split": "train", "kl_nats": 1.0},
        {"step": 4, "split": "train", "bound_bpd": 2.0},
    ]
    steps, values = series(history, "train", "bound_bpd")
    np.testing.assert_array_equal(steps, [1, 2, 4])
    np.testing.assert_array_equal(values, [3, math.nan, 2])


def test_first_steps_do_not_stretch_the_axis():
    values = np.concatenate([[1e6, 1e4, 100.0], np.linspace(6, 4, 97)])
    low, high = robust_limits([values])
    assert 3.5 < low < 4
    assert 5.7 < high < 7


def test_last_value_of_every_curve_is_inside():
    low, high = robust_limits([np.linspace(6, 4, 100), np.array([9.0])])
    assert low < 4
    assert high > 9


@pytest.mark.parametrize("value", [0.0, 4.0, -4.0])
def test_single_value_gets_room_around_it(value):
    low, high = robust_limits([np.array([value])])
    assert low < value < high


def test_axis_from_zero_starts_there_unless_values_are_below():
    assert robust_limits([np.array([5.0, 6.0])], from_zero=True)[0] == 0
    assert robust_limits([np.array([-5.0, 6.0])], from_zero=True)[0] < -5


def test_no_values_have_no_limits():
    assert robust_limits([np.array([])]) is None
    assert robust_limits([np.array([math.nan, math.inf])]) is None


def test_values_that_are_not_finite_change_no_limits():
    values = np.linspace(6, 4, 97)
    assert robust_limits([np.append(values, [math.inf, math.nan])]) == robust_limits([values])


def test_curves_are_drawn_in_their_colors():
    history = [
        {"step": step, "split": split, "bound_bpd": 4.0 + step}
        for step in range(9)
        for split in ("train", "validation", "other")
    ]
    other = color(2, 3)
    assert other not in COLORS.values()
    shades = [COLORS["train"], COLORS["validation"], other]
    assert polylines(draw_curves(history)[0]) == [(f"stroke: {shade}", 9) for shade in shades]


def test_each_kind_of_metric_adds_a_panel():
    entry = {"step": 1, "split": "train", "bound_bpd": 4.0}
    histories = [], [entry], [{**entry, "kl_nats/a": 1.0}], [{**entry, "kl_nats/a": 1.0, "images_per_second": 9.0}]
    assert [len(draw_curves(history)) for history in histories] == [1, 1, 2, 3]


def test_lines_of_one_panel_may_differ_in_length():
    history = [{"step": 1, "split": "train", "elbo_nats": -1.5}, {"step": 2, "split": "train", "elbo_nats": -1.0}]
    one_more = [{"step": step, "split": "validation", "elbo_nats": -2.0} for step in (1, 2, 3)]
    assert [corners for _, corners in polylines(draw_curves([*history, *one_more])[0])] == [2, 3]


def test_many_layers_are_drawn_as_their_sums(monkeypatch):
    drawn = []
    monkeypatch.setattr(curves, "draw_panel", lambda title, unit, lines, limits: drawn.append(lines) or "")
    kl = {f"kl_nats/{place}x{place}.{number}": float(number) for place in (4, 16) for number in range(8)}
    draw_curves([{"step": step, "split": "train", **kl} for step in (1, 2)])
    first, last = drawn[1]
    assert (first.label, last.label) == ("4x4, 8 latents", "16x16, 8 latents")
    assert (first.across.tolist(), first.values.tolist()) == ([1, 2], [28.0, 28.0])
