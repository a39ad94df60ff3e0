import dataclasses

import numpy as np
import pytest

from ctc_jax.data import Dataset, Split


def dataset(highest_grey=0, bits=8):
    images = np.random.default_rng(0).integers(2**bits, size=(2000, 2, 3, 1), dtype=np.uint8)
    split = Split(images, np.arange(2000, dtype=np.int32), highest_grey)
    return Dataset("a test", split, split, split, 1 if highest_grey else bits, 1, "none")


def test_rows_are_drawn_as_they_are_or_binarized_with_the_generator():
    plain, grey = dataset().train, dataset(255).train
    rows = np.array([5, 2, 2])
    np.testing.assert_array_equal(plain.draw(rows, np.random.default_rng(0)), plain.images[rows])
    drawn = [grey.draw(rows, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.any(drawn[0] != drawn[2])
    assert set(np.unique(drawn)) == {0, 1}


@pytest.mark.parametrize(("highest_grey", "bits"), [(0, 8), (0, 3), (255, 8), (15, 4)])
def test_the_mean_image_is_that_of_what_is_drawn_over_the_highest_level(highest_grey, bits):
    data = dataset(highest_grey, bits)
    drawn = data.train.draw(np.arange(2000), np.random.default_rng(1)) / (2**data.bits - 1)
    error = 4.5 * np.sqrt(data.mean_image * (1 - data.mean_image) / 2000)
    np.testing.assert_array_less(np.abs(drawn.mean(0) - data.mean_image), error if highest_grey else 1e-12)


def test_the_fingerprint_tells_content_apart_and_nothing_else():
    data = dataset()
    assert dataclasses.replace(data, origin="elsewhere", notes=("a note",)).fingerprint == data.fingerprint
    changed = data.train.images.copy()
    changed[7, 1, 2, 0] ^= 1
    others = [
        dataclasses.replace(data, test=Split(changed, data.test.labels)),
        dataclasses.replace(data, validation=Split(data.train.images, data.train.labels[::-1])),
        dataclasses.replace(data, train=Split(data.train.images[::-1], data.train.labels)),
        dataclasses.replace(data, bits=7),
        dataset(255),
    ]
    assert len({other.fingerprint for other in [data, *others]}) == 1 + len(others)
