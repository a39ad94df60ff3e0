import numpy as np
import pytest

from ctc_jax.data import checked_labels


@pytest.mark.parametrize("labels", [[0, 4, 1], np.array([0, 4, 1], np.uint64), np.array([0, 4, 1], np.int8)])
def test_whole_numbers_become_int32(labels):
    checked = checked_labels(labels, 3, 5)
    assert checked.dtype == np.int32
    np.testing.assert_array_equal(checked, [0, 4, 1])


def test_truth_values_are_two_classes():
    np.testing.assert_array_equal(checked_labels(np.array([True, False]), 2, 2), [1, 0])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 5], "int64 of shape (2,) from 0 to 5; allowed: 2 classes, each a whole number of 0 to 4"),
        ([-1, 0], "from -1 to 0"),
        ([0], "of shape (1,)"),
        ([[0, 1]], "of shape (1, 2)"),
        ([0.0, 1.0], "float64 of shape (2,)"),
        (["a", "b"], "of shape (2,)"),
        (np.array([2**32, 0]), "from 0 to 4294967296"),
        (np.array([2**63, 0], np.uint64), "from 0 to 9223372036854775808"),
        ([2**70, 0], "object of shape (2,)"),
    ],
)
def test_what_names_no_class_is_refused(labels, words):
    with pytest.raises(ValueError, match="labels are") as caught:
        checked_labels(labels, 2, 5)
    assert words in str(caught.value)
