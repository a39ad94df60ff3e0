import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from ctc_jax.reporting.panel import MARKED, PLOT_HEIGHT, TOP, Line, draw_panel, ticks

SVG = "{http://www.w3.org/2000/svg}"


def line(values, label="train", color="red", across=None):
    values = np.array(values, np.float64)
    return Line(
        label, color, np.arange(1.0, 1 + len(values)) if across is None else np.array(across, np.float64), values
    )


def drawn(lines, limits, **rest):
    return ElementTree.fromstring(draw_panel("bound <b>", "bpd", lines, limits, **rest))


def points(tree):
    """The points of each polyline."""
    found = tree.iter(f"{SVG}polyline")
    return [[tuple(map(float, pair.split(","))) for pair in of.get("points").split()] for of in found]


def off(tree):
    """What the pointer is told of the markers off the panel, and where their tips are."""
    found = [of for of in tree.iter(f"{SVG}path") if of.get("class") == "off"]
    return [(of.find(f"{SVG}title").text, *map(float, re.findall(r"[\d.]+", of.get("d"))[:2])) for of in found]


def test_a_line_goes_through_its_points():
    (line_points,) = points(drawn([line([4.0, 5.0, 4.5])], (4.0, 5.0)))
    places, heights = zip(*line_points, strict=True)
    assert heights == pytest.approx((TOP + PLOT_HEIGHT, TOP, TOP + PLOT_HEIGHT / 2))
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])


def test_a_point_off_the_panel_has_a_marker_at_the_edge_that_tells_its_value():
    above, below = off(drawn([line([9.0, 5.0, 4.5, 0.25], across=[1, 100, 200, 300])], (4.0, 5.0)))
    assert (above[0], above[2]) == ("train at 1: 9.000", TOP)
    assert (below[0], below[2]) == ("train at 300: 0.2500", TOP + PLOT_HEIGHT)
    assert above[1] < below[1]


def test_a_value_that_is_not_finite_breaks_the_line_and_is_marked():
    tree = drawn([line([4.0, 4.5, math.nan, 4.2, 4.3, math.inf])], (4.0, 5.0))
    assert [len(part) for part in points(tree)] == [2, 2]
    assert [said for said, *_ in off(tree)] == ["train at 3: nan", "train at 6: inf"]


def test_markers_off_the_panel_that_would_lie_on_each_other_are_one_that_tells_their_range():
    """Of 1,000 points the first ten lie within four pixels."""
    values = np.concatenate([np.linspace(90, 81, 10), np.full(990, 4.5)])
    ((said, *_),) = off(drawn([line(values)], (4.0, 5.0)))
    assert said == "train at 1 to 10: 81.00 to 90.00"


@pytest.mark.parametrize(("count", "circles"), [(1, 1), (MARKED, MARKED), (MARKED + 1, 0)])
def test_few_points_have_markers_and_one_alone_is_seen(count, circles):
    assert len(list(drawn([line(np.full(count, 4.5))], (4.0, 5.0)).iter(f"{SVG}circle"))) == circles


def test_every_point_is_a_marker_a_corner_or_off_the_panel():
    """Whatever the values: none of 40 is hidden."""
    random = np.random.default_rng(0)
    for _ in range(20):
        values = np.where(random.random(40) < 0.3, random.choice([math.nan, 50.0, -50.0], 40), random.random(40))
        across = 100.0 * np.arange(40)  # far enough apart that no markers are joined
        tree = drawn([line(values, across=across)], (0.0, 1.0))
        inside = [pair for part in points(tree) for pair in part if TOP <= pair[1] <= TOP + PLOT_HEIGHT]
        shown = len({x for x, _ in inside} | {float(of.get("cx")) for of in tree.iter(f"{SVG}circle")})
        assert shown + len(off(tree)) == 40


def test_lines_with_labels_are_told_apart_by_a_legend_and_one_line_needs_none():
    several = [line([4.0], label=f"a long label {number}", color=f"hsl({number} 1% 1%)") for number in range(9)]
    one, nine = drawn(several[:1], (3.0, 5.0)), drawn(several, (3.0, 5.0))
    assert len(list(one.iter(f"{SVG}rect"))) == 0
    rows = {of.get("y") for of in nine.iter(f"{SVG}rect")}
    assert len(list(nine.iter(f"{SVG}rect"))) == 9
    assert len(rows) > 2
    ends = [float(of.get("x")) for of in nine.iter(f"{SVG}rect")]
    width, height = map(float, nine.get("viewBox").split()[2:])
    assert max(ends) < width - 80
    assert max(map(float, rows)) < height


def test_no_values_say_so():
    assert "no points yet" in "".join(drawn([line([])], None).itertext())
    assert "no points yet" in "".join(drawn([line([math.nan])], None).itertext())


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1000.0, [0, 200, 400, 600, 800, 1000]),
        (4.56, 5.66, [4.75, 5, 5.25, 5.5]),
        (-1e-3, 1e-3, [-1e-3, -5e-4, 0, 5e-4, 1e-3]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert ticks(low, high) == expected
