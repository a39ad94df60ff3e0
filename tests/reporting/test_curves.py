import io
import math

import numpy as np
import pytest
from PIL import Image

from ctc_jax.reporting import curves
from ctc_jax.reporting.curves import draw_curves, robust_limits, series


def decoded(png):
    return np.array(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def marked(png, color):
    """Number of pixels of nearly this color."""
    return int((np.abs(decoded(png) - color).max(axis=-1) < 12).sum())


def test_series_takes_one_metric_of_one_split_without_not_finite_values():
    history = [
        {"step": 1, "split": "train", "bound_bpd": 3.0},
        {"step": 1, "split": "validation", "bound_bpd": 9.0},
        {"step": 2, "split": "train", "bound_bpd": math.nan},
        {"step": 3, "split": "train", "kl_nats": 1.0},
        {"step": 4, "split": "train", "bound_bpd": 2.0},
    ]
    steps, values = series(history, "train", "bound_bpd")
    assert (steps.tolist(), values.tolist()) == ([1, 4], [3, 2])


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


def test_curves_are_drawn_in_their_colors_and_a_single_point_shows():
    train, validation = (59, 118, 175), (217, 118, 43)
    one = draw_curves([{"step": 5, "split": "validation", "bound_bpd": 4.0}])
    assert marked(one, validation) > 10
    assert marked(one, train) == 0
    both = [
        {"step": step, "split": split, "bound_bpd": 4.0 + step}
        for step in range(9)
        for split in ("train", "validation")
    ]
    assert marked(draw_curves([entry for entry in both if entry["split"] == "train"]), train) > 100
    assert marked(draw_curves(both), validation) > 100


def test_each_kind_of_metric_adds_a_panel():
    entry = {"step": 1, "split": "train", "bound_bpd": 4.0}
    heights = [
        decoded(draw_curves(history)).shape[0]
        for history in (
            [],
            [entry],
            [{**entry, "kl_nats/a": 1.0}],
            [{**entry, "kl_nats/a": 1.0, "images_per_second": 9.0}],
        )
    ]
    assert heights == [heights[0], heights[0], 2 * heights[0], 3 * heights[0]]


def test_lines_of_one_panel_may_differ_in_length():
    history = [{"step": 1, "split": "train", "elbo_nats": -1.5}, {"step": 2, "split": "train", "elbo_nats": -1.0}]
    one_more = [*history, {"step": 2, "split": "validation", "elbo_nats": -2.0}]
    assert draw_curves(one_more) != draw_curves(history)


def test_many_layers_are_drawn_as_their_sums(monkeypatch):
    drawn = []
    monkeypatch.setattr(curves, "_draw_panel", lambda axes, title, unit, lines: drawn.append((title, lines)))
    kl = {f"kl_nats/{place}x{place}.{number}": float(number) for place in (4, 16) for number in range(8)}
    draw_curves([{"step": step, "split": "train", **kl} for step in (1, 2)])
    (_, [(first, _, (steps, values)), (last, _, _)]) = drawn[1]
    assert (first, last) == ("4x4, 8 latents", "16x16, 8 latents")
    assert (steps.tolist(), values.tolist()) == ([1, 2], [28.0, 28.0])
