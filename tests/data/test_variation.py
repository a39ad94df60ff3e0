import numpy as np
import pytest
from scipy import stats

from ctc_jax.data.variation import Variation
from ctc_jax.options import OptionError

COUNT = 4000
# A mark of one level a pixel that tells which image it is and where its corner lies.
MARKS = np.arange(1, 1 + 4 * 6, dtype=np.uint8).reshape(4, 2, 3, 1)


def drawn(images=MARKS, rows=None, seed=0, **options):
    variation = Variation(255, **options)
    rows = np.zeros(COUNT, np.int64) if rows is None else rows
    return variation.draw(images, rows, np.random.default_rng(seed))


def test_the_places_of_an_image_are_even_over_all_that_hold_it():
    images = drawn(canvas=5)
    found = images.reshape(COUNT, -1)
    corner = np.argmax(found == 1, axis=1)
    down, right = np.divmod(corner, 5)
    assert (np.sort(found, axis=1)[:, -6:] == MARKS[0].ravel()).all()  # whole, and once
    assert ((found > 0).sum(axis=1) == 6).all()
    counts = np.histogram2d(down, right, bins=[np.arange(5), np.arange(4)])[0]  # 4 rows and 3 columns of corners
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3
    for index in (7, 900):
        patch = images[index, down[index] : down[index] + 2, right[index] : right[index] + 3]
        np.testing.assert_array_equal(patch, MARKS[0])


@pytest.mark.parametrize("options", [{}, {"contrast": 0.5, "brightness": 1.0}, {"distractors": 2}])
def test_corners_are_where_objects_lie_and_change_no_draw(options):
    ones = np.full((1, 1, 1, 1), 200, np.uint8)
    variation, rows = Variation(255, canvas=6, objects=2, **options), np.zeros(300, np.int64)
    images, corners = variation.draw_with_corners(ones, rows, np.random.default_rng(0))
    np.testing.assert_array_equal(images, variation.draw(ones, rows, np.random.default_rng(0)))
    assert corners.shape == (300, 2, 2)
    bright = images[..., 0] == images.max(axis=(1, 2, 3))[:, None, None]
    assert bright[np.arange(300)[:, None], corners[:, :, 0], corners[:, :, 1]].all()
    assert (np.unique(corners.reshape(-1, 2), axis=0) == np.argwhere(np.ones((6, 6)))).all()
    assert not Variation(255).draw_with_corners(ones, rows, np.random.default_rng(0))[1].any()


def test_company_is_drawn_evenly_from_all_images_and_overlaps_by_the_higher_level():
    ones = np.full((4, 1, 1, 1), 1, np.uint8) * np.array([1, 10, 20, 30], np.uint8)[:, None, None, None]
    images = drawn(ones, canvas=8, objects=2).reshape(COUNT, -1)
    own, other = images.min(axis=1, where=images > 0, initial=255), images.max(axis=1)
    apart = (images > 0).sum(axis=1) == 2
    assert abs((~apart).mean() - 1 / 64) < 4.5 * np.sqrt(1 / 64 / COUNT)
    assert (own[apart] == 1).all()  # the row's own, whatever lies beside it
    counts = np.unique(other, return_counts=True)[1]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_distractors_are_pieces_a_third_as_long():
    images = np.full((3, 6, 6, 1), 9, np.uint8)
    images[0] = 200
    found = drawn(images[1:], rows=np.zeros(200, np.int64), canvas=60, distractors=1)
    sizes, counts = np.unique((found > 0).sum(axis=(1, 2, 3)), return_counts=True)
    assert sizes.max() == 36 + 4
    assert counts[-1] > 150  # they seldom meet


def test_contrast_and_brightness_keep_an_image_within_its_levels_and_are_evenly_drawn():
    images = np.array([0, 100, 255], np.uint8).reshape(1, 1, 3, 1)
    low, middle, high = drawn(images, contrast=0.75, brightness=0.5)[:, 0, :, 0].T.astype(np.float64)
    contrast = (high - low) / 255
    np.testing.assert_allclose((middle - low) / 255, contrast * 100 / 255, atol=1.01 / 255)
    assert stats.kstest(contrast, stats.uniform(0.25, 0.75).cdf).pvalue > 1e-3
    dim = contrast < 0.6
    assert stats.kstest(low[dim] / (255 * (1 - contrast[dim])), stats.uniform(0.0, 0.5).cdf).pvalue > 1e-3
    assert low.min() >= 0
    assert high.max() <= 255
    black = drawn(np.zeros((1, 2, 2, 1), np.uint8), contrast=0.9)
    assert not black.any()  # without brightness black stays black


def test_draws_are_a_function_of_the_generator():
    options = {"canvas": 9, "objects": 3, "distractors": 2, "contrast": 0.5}
    np.testing.assert_array_equal(drawn(**options), drawn(**options))
    assert np.any(drawn(**options) != drawn(seed=1, **options))


def test_a_canvas_that_is_too_small_is_refused():
    with pytest.raises(OptionError, match="canvas is 27; allowed: 0, or 28 or more: images are 28x20"):
        Variation(255, canvas=27).check(28, 20)
