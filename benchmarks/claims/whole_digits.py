"""How many of the things on a canvas are whole digits. Tests: tests/benchmarks/claims/test_whole_digits.py.

A thing is a group of pixels above half the highest level with at most one dark pixel between neighbors; a classifier of
single digits sees it alone, its center of mass at the middle of a digit's square, as the training digits have theirs.
It is a whole digit where it fits into that square and the classifier gives one label a probability of 0.9 or more.
Groups of fewer than 8 pixels are noise and not looked at. Digits that touch are one thing, and mostly none that is
whole: that of real canvases is to be read beside that of samples.
"""

from collections.abc import Callable

import numpy as np
import scipy.ndimage
from jaxtyping import Float, Num, UInt8

LEAST, CONFIDENT = 8, 0.9
TOUCHING = np.ones((3, 3))
REACH = np.ones((2, 2))  # which joins what one dark pixel parts

Classify = Callable[[UInt8[np.ndarray, "things side side 1"]], Float[np.ndarray, "things labels"]]


def things(
    canvas: Num[np.ndarray, "height width"], highest: int, side: int
) -> list[UInt8[np.ndarray, "side side 1"] | None]:
    """Each group of pixels in a square of its own, its center of mass in the middle; None where it does not fit."""
    bright = canvas > highest / 2
    labels, _ = scipy.ndimage.label(scipy.ndimage.binary_dilation(bright, REACH), TOUCHING)
    found: list[UInt8[np.ndarray, "side side 1"] | None] = []
    for index in range(1, labels.max(initial=0) + 1):
        rows, columns = np.nonzero(bright & (labels == index))
        if len(rows) < LEAST:
            continue
        levels = canvas[rows, columns]
        places = [of + round((side - 1) / 2 - np.average(of, weights=levels)) for of in (rows, columns)]
        if all(of.min() >= 0 and of.max() < side for of in places):
            square = np.zeros((side, side, 1), np.uint8)
            square[places[0], places[1], 0] = levels
            found.append(square)
        else:
            found.append(None)
    return found


def whole_digits(
    canvases: UInt8[np.ndarray, "canvases height width 1"], classify: Classify, *, highest: int, side: int
) -> dict[str, float]:
    """Figures on canvases.

    Args:
      canvases: levels 0 to `highest`.
      classify: probabilities of labels of single digits.
      highest: level.
      side: of a digit's square.

    Returns:
      `things_a_canvas`; `whole`, the share of things that are whole digits, 0 without things; `torn`, that share if the
      lower half of each were that of the next one: what a classifier takes for whole that is not.
    """
    found = [thing for canvas in canvases for thing in things(canvas[..., 0], highest, side)]
    figures = {"things_a_canvas": len(found) / len(canvases), "whole": 0.0, "torn": 0.0}
    fitting = [thing for thing in found if thing is not None]
    if fitting:
        squares = np.stack(fitting)
        torn = np.concatenate([squares[:, : side // 2], np.roll(squares, -1, axis=0)[:, side // 2 :]], axis=1)
        for name, seen in (("whole", squares), ("torn", torn)):
            figures[name] = float(np.sum(classify(seen).max(axis=1) >= CONFIDENT) / len(found))
    return figures
