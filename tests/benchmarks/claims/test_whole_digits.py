import numpy as np
import pytest

from benchmarks.claims.whole_digits import things, whole_digits

SIDE = 6
# A ring of 12 pixels, and a bar of 5 x 2 with one dark row in its middle, which does not part it.
RING = np.zeros((4, 4), np.uint8)
RING[[0, -1]], RING[:, [0, -1]] = 1, 1
BAR = np.ones((5, 2), np.uint8)
BAR[2] = 0


def canvas(*placed, size=20):
    found = np.zeros((size, size, 1), np.uint8)
    for picture, row, column in placed:
        found[row : row + picture.shape[0], column : column + picture.shape[1], 0] |= picture
    return found


def is_ring(squares):
    """Sure of rings in the middle of their square, and of nothing else."""
    ring = np.pad(RING, 1)[None, :, :, None]
    sure = (squares == ring).all(axis=(1, 2, 3))
    return np.where(sure[:, None], [0.95, 0.05], [0.5, 0.5])


def test_a_thing_is_cut_out_alone_with_its_center_of_mass_in_the_middle():
    for row, column in ((0, 0), (3, 9), (16, 16)):
        (found,) = things(canvas((RING, row, column))[..., 0], 1, SIDE)
        np.testing.assert_array_equal(found[..., 0], np.pad(RING, 1))


def test_one_dark_pixel_joins_and_two_part():
    assert len(things(canvas((BAR, 1, 1))[..., 0], 1, SIDE)) == 1
    assert len(things(canvas((RING, 1, 1), (RING, 6, 1))[..., 0], 1, 20)) == 1
    assert len(things(canvas((RING, 1, 1), (RING, 7, 1))[..., 0], 1, 20)) == 2


def test_noise_is_not_looked_at_and_what_does_not_fit_is_a_thing_that_is_not_whole():
    assert things(canvas((np.ones((1, 7), np.uint8), 3, 3))[..., 0], 1, SIDE) == []
    assert things(canvas((np.ones((1, 8), np.uint8), 3, 3))[..., 0], 1, SIDE) == [None]


def test_figures_count_whole_digits_among_things():
    canvases = np.stack([canvas((RING, 1, 1), (RING, 10, 9)), canvas((RING, 0, 2), (BAR, 10, 10)), canvas(), canvas()])
    found = whole_digits(canvases, is_ring, highest=1, side=SIDE)
    assert (found["things_a_canvas"], found["whole"]) == (1.0, 0.75)
    assert whole_digits(canvases[2:], is_ring, highest=1, side=SIDE) == {"things_a_canvas": 0, "whole": 0, "torn": 0}


def test_torn_things_have_the_upper_half_of_one_and_the_lower_of_the_next():
    rings = np.stack([canvas((RING, 1, 1)), canvas((RING, 5, 2)), canvas((RING, 8, 8))])
    assert whole_digits(rings, is_ring, highest=1, side=SIDE)["torn"] == 1.0
    mixed = np.stack([rings[0], rings[1], canvas((BAR, 1, 1))])
    assert whole_digits(mixed, is_ring, highest=1, side=SIDE)["torn"] == pytest.approx(1 / 3)


def test_grey_levels_are_kept_and_those_below_half_are_dark():
    grey = canvas((RING * 200, 4, 4)) + canvas((RING * 100, 12, 12))
    (found,) = things(grey[..., 0], 255, SIDE)
    assert set(np.unique(found)) == {0, 200}
