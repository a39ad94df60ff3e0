import io

import numpy as np
import pytest
from PIL import Image

from ctc_jax.reporting.rank_histograms import draw_rank_histograms, even_band

RED, BLUE = (0xC2, 0x45, 0x2D), (0x3B, 0x76, 0xAF)


def shown(counts):
    picture = np.asarray(Image.open(io.BytesIO(draw_rank_histograms({"z 0": np.array(counts)}))).convert("RGB"))
    return [bool((picture == color).all(axis=-1).any()) for color in (BLUE, RED)]


@pytest.mark.parametrize("images", [40, 1000])
def test_even_ranks_stay_within_the_band_as_often_as_promised(images):
    low, high = even_band(images, 5)
    counts = np.random.default_rng(0).multinomial(images, [0.2] * 5, size=20_000)
    inside = np.mean(((counts >= low) & (counts <= high)).all(axis=1))
    # Bonferroni's bound is from below, and counts are whole.
    assert 0.99 - 4 * np.sqrt(0.01 / 20_000) < inside < 0.9995


def test_bins_outside_of_the_band_are_red():
    assert shown([100, 100, 100, 100]) == [True, False]
    assert shown([40, 160, 100, 100]) == [True, True]


def test_panels_fill_rows():
    counts = np.array([5, 5])
    sizes = [
        Image.open(io.BytesIO(draw_rank_histograms({f"z {n}": counts for n in range(many)}))).size for many in (1, 4, 5)
    ]
    assert sizes[1][0] == 4 * sizes[0][0]
    assert sizes[2][1] == 2 * sizes[1][1]
