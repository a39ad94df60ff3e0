"""Lines over one axis as an SVG that follows the colors of the page it stands in. Tests: test_panel.py.

Colors are CSS variables of the page's style, each with what holds where there is none, as in a file of its own.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ctc_jax.reporting.units import format_number

WIDTH, PLOT_HEIGHT = 440, 190
LEFT, RIGHT, TOP, AXIS = 58, 22, 30, 34
LEGEND_ROW, LETTER = 17, 6.3  # pixels of a row of the legend, and of a letter in it
MARKED = 30  # points of a line, up to which each has a marker
APART = 6.0  # pixels: markers of points off the panel that are nearer are one
Pixels = float | int
INK, SOFT, GRID = "var(--ink, #1c2128)", "var(--soft, #5b6570)", "var(--line, #d9dee3)"


@dataclass(frozen=True)
class Line:
    """A line of a panel.

    Attributes:
      label: its words in the legend; "" for none.
      color: any CSS color.
      across: places on the horizontal axis, increasing.
      values: as many; one that is not finite is marked at the top of the panel.
    """

    label: str
    color: str
    across: Float[np.ndarray, "_"]
    values: Float[np.ndarray, "_"]


def draw_panel(
    title: str, unit: str, lines: Sequence[Line], limits: tuple[float, float] | None, *, axis: str = "step"
) -> str:
    """An SVG with axes, lines and a legend of their labels, each once; no point is hidden.

    A point outside the limits is a triangle at the edge that it lies beyond, one that is not finite a cross at the top
    edge; the pointer resting on them shows step and value.

    Args:
      title: bold, above.
      unit: of the values, beside the title.
      lines: at least one.
      limits: of the vertical axis; None where no line has a finite value.
      axis: what the horizontal axis counts.
    """
    lines = [line for line in lines if len(line.values)]
    rows = _legend_rows(list({line.label: line for line in reversed(lines) if line.label}.values())[::-1])
    height = TOP + PLOT_HEIGHT + AXIS + LEGEND_ROW * len(rows)
    beside = f'<tspan dx="8" style="{_style(SOFT, 12)}; font-weight: 400">{html.escape(unit)}</tspan>' if unit else ""
    head = f'<tspan style="{_style(INK, 14)}; font-weight: 600">{html.escape(title)}</tspan>'
    body = [f'<text x="0" y="15">{head}{beside}</text>']
    if not lines or limits is None:
        body.append(_text(WIDTH / 2, TOP + PLOT_HEIGHT / 2, "no points yet", anchor="middle"))
    else:
        body += _plot(lines, limits, axis)
        body += [part for number, row in enumerate(rows) for part in _legend(row, TOP + PLOT_HEIGHT + AXIS, number)]
    label = html.escape(f"{title}, {unit}" if unit else title, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" '
        f'style="font: 12px system-ui, sans-serif">{"".join(body)}</svg>'
    )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two, `about` of them."""
    raw = (high - low) / about
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next(scale * of for of in (1.0, 2.0, 2.5, 5.0, 10.0) if scale * of >= raw * 0.99)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _plot(lines: Sequence[Line], limits: tuple[float, float], axis: str) -> list[str]:
    first, last = (float(of([of(line.across) for line in lines])) for of in (np.min, np.max))
    if first == last:
        first, last = first - 1.0, last + 1.0
    inside = WIDTH - LEFT - RIGHT
    low, high = limits

    def x(of):
        return LEFT + inside * (np.asarray(of, np.float64) - first) / (last - first)

    def y(of):
        return TOP + PLOT_HEIGHT * (high - np.asarray(of, np.float64)) / (high - low)

    body = []
    values = ticks(low, high)
    for value, words in zip(values, _alike(values), strict=True):
        at = float(y(value))
        body += [_rule(LEFT, at, WIDTH - RIGHT, at), _text(LEFT - 6, at + 4, words, anchor="end")]
    for value in (of for of in ticks(first, last, 4) if of == round(of)):
        body.append(_text(float(x(value)), TOP + PLOT_HEIGHT + 16, f"{value:,.0f}", anchor="middle"))
    body.append(_text(WIDTH - RIGHT, TOP + PLOT_HEIGHT + 31, axis, anchor="end"))
    body.append(_rule(LEFT, TOP + PLOT_HEIGHT, WIDTH - RIGHT, TOP + PLOT_HEIGHT, SOFT))
    # An inner SVG cuts off what leaves it, in a file that holds many panels without names for each.
    drawn = [part for line in lines for part in _curve(line, x(line.across), y(line.values))]
    body.append(
        f'<svg x="{LEFT}" y="{TOP}" width="{inside}" height="{PLOT_HEIGHT}" '
        f'viewBox="{LEFT} {TOP} {inside} {PLOT_HEIGHT}">{"".join(drawn)}</svg>'
    )
    for line in lines:
        body += _points(line, limits, x(line.across), y(line.values)) + _beyond(line, limits, x(line.across))
    return body


def _curve(line: Line, x: np.ndarray, y: np.ndarray) -> list[str]:
    """The line, broken where a value is not finite."""
    return [
        f'<polyline points="{" ".join(f"{x[at]:.1f},{_near(y[at]):.1f}" for at in part)}" fill="none" '
        f'style="stroke: {line.color}; stroke-width: 1.8; stroke-linejoin: round">'
        f"<title>{html.escape(line.label)}</title></polyline>"
        for part in _parts(line)
        if len(part) > 1
    ]


def _parts(line: Line) -> list[np.ndarray]:
    """Positions of the finite values, those between two that are not together."""
    finite = np.isfinite(line.values)
    breaks = np.flatnonzero(np.diff(finite.astype(int))) + 1
    return [part for part in np.split(np.arange(len(finite)), breaks) if len(part) and finite[part[0]]]


def _points(line: Line, limits: tuple[float, float], x: np.ndarray, y: np.ndarray) -> list[str]:
    """Markers of the points in the panel, where they are few or alone."""
    inside = (line.values >= limits[0]) & (line.values <= limits[1])
    alone = [part[0] for part in _parts(line) if len(part) == 1 and inside[part[0]]]
    return [
        f'<circle cx="{x[at]:.1f}" cy="{y[at]:.1f}" r="3" style="fill: {line.color}">{_said(line, [at])}</circle>'
        for at in (np.flatnonzero(inside) if len(y) <= MARKED else alone)
    ]


def _near(y: float) -> float:
    """A place that a drawing program can hold, however far off the panel."""
    return min(max(y, -1e5), 1e5)


def _beyond(line: Line, limits: tuple[float, float], x: np.ndarray) -> list[str]:
    """A marker at the edge for each point that is off the panel, neighbors of one kind together."""
    low, high = limits
    finite = np.isfinite(line.values)
    kinds = np.where(~finite, "x", np.where(line.values > high, "^", np.where(line.values < low, "v", "")))
    marks: list[list[Any]] = []
    for at in np.flatnonzero(kinds):
        together = marks and kinds[marks[-1][0]] == kinds[at] and x[at] - x[marks[-1][0]] < APART
        marks[-1].append(at) if together else marks.append([at])
    return [_mark(kinds[some[0]], float(x[some[0]]), line.color, _said(line, some)) for some in marks]


def _mark(kind: str, x: float, color: str, said: str) -> str:
    if kind == "x":
        path = f"M{x - 4:.1f},{TOP + 1}l8,8m0,-8l-8,8"
        return f'<path class="off" d="{path}" fill="none" style="stroke: {color}; stroke-width: 2">{said}</path>'
    edge, height = (TOP, 8) if kind == "^" else (TOP + PLOT_HEIGHT, -8)
    return f'<path class="off" d="M{x:.1f},{edge}l4.5,{height}h-9z" style="fill: {color}">{said}</path>'


def _said(line: Line, some: Sequence[Any]) -> str:
    """What the pointer shows of points: where they are, and their value or its range."""
    places = [f"{line.across[at]:,.0f}" for at in (some[0], some[-1])]
    values = [format_number(of) for of in (np.min(line.values[some]), np.max(line.values[some]))]
    where, value = (" to ".join(dict.fromkeys(of)) for of in (places, values))
    return f"<title>{html.escape(f'{line.label} at {where}: {value}'.strip())}</title>"


def _legend_rows(lines: Sequence[Line]) -> list[list[tuple[float, Line]]]:
    """Lines with their places from the left, in rows."""
    rows: list[list[tuple[float, Line]]] = []
    end = math.inf
    for line in lines if len(lines) > 1 else ():
        width = 20 + LETTER * len(line.label) + 12
        if end + width > WIDTH:
            rows.append([])
            end = 0.0
        rows[-1].append((end, line))
        end += width
    return rows


def _legend(row: Sequence[tuple[float, Line]], top: int, number: int) -> list[str]:
    y = top + LEGEND_ROW * number + 12
    return [
        part
        for x, line in row
        for part in (
            f'<rect x="{x:.1f}" y="{y - 6}" width="14" height="4" rx="2" style="fill: {line.color}"/>',
            _text(x + 19, y, line.label),
        )
    ]


def _alike(values: Sequence[float]) -> list[str]:
    """Numbers with equally many decimals, as many as one of them needs."""
    if max(map(abs, values), default=0.0) >= 1e6:
        return [f"{value:.3g}" for value in values]
    decimals = max((len(f"{value:.10g}".partition(".")[2]) for value in values), default=0)
    return [f"{value:,.{decimals}f}" for value in values]


def _rule(x: Pixels, y: Pixels, to_x: Pixels, to_y: Pixels, color: str = GRID) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" style="stroke: {color}"/>'


def _text(x: Pixels, y: Pixels, words: str, *, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} style="{_style(SOFT, 12)}">{html.escape(words)}</text>'


def _style(color: str, size: int) -> str:
    return f"fill: {color}; font-size: {size}px"
