import dataclasses

import numpy as np
import pytest

from ctc_jax.data.figures import Figures, channel_moments
from ctc_jax.data.source import Arrays, Unavailable


def arrays():
    images = np.random.default_rng(0).integers(256, size=(9, 4, 5, 2), dtype=np.uint8)
    labels = np.arange(9, dtype=np.int32)
    return Arrays(images, labels, images[:2], labels[:2], 9, "a test")


def figures():
    levels = arrays().images.reshape(-1, 2) / 255
    return Figures(9, 2, (4, 5, 2), tuple(levels.mean(0)), tuple(levels.std(0)), (0, 1, 2))


def test_moments_are_those_of_numpy():
    levels = arrays().images.reshape(-1, 2) / 255
    mean, std = channel_moments(arrays().images)
    np.testing.assert_allclose(mean, levels.mean(0), rtol=1e-12)
    np.testing.assert_allclose(std, levels.std(0), rtol=1e-12)


def test_the_right_data_pass():
    data = arrays()
    assert figures().check(data) is data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": 10}, "number of training images is 9, not 10"),
        ({"test": 3}, "number of test images is 2, not 3"),
        ({"shape": (4, 5, 3)}, "image shape"),
        ({"mean": (0.5, 0.5)}, "mean"),
        ({"std": (0.3, 0.3)}, "standard deviation"),
        ({"first_labels": (1, 1)}, r"first labels is \(0, 1\), not \(1, 1\)"),
    ],
)
def test_a_figure_that_differs_is_named(change, message):
    with pytest.raises(Unavailable, match=message):
        dataclasses.replace(figures(), **change).check(arrays())
