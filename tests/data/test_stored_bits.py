import pytest

from ctc_jax.data.stored_bits import tell_bits
from ctc_jax.options import OptionError


@pytest.mark.parametrize(("largest", "bits"), [(1, 1), (3, 2), (15, 4), (127, 7), (128, 8), (255, 8)])
def test_bits_are_told_from_the_largest_level_and_few_of_them_are_noted(largest, bits):
    told, notes = tell_bits(largest, 0)
    assert told == bits
    assert len(notes) == int(bits < 8)


@pytest.mark.parametrize("largest", [2, 9, 100, 126])
def test_bits_that_the_largest_level_leaves_open_are_asked_for(largest):
    fewest = largest.bit_length()
    with pytest.raises(OptionError, match=f"stored_bits is 0; allowed: {fewest} to 8: the largest level is {largest}"):
        tell_bits(largest, 0)
    for bits in range(fewest, 9):
        assert tell_bits(largest, bits) == (bits, ())
    if fewest > 2:
        with pytest.raises(OptionError, match=f"stored_bits is {fewest - 1}; allowed: 0, or {fewest} to 8"):
            tell_bits(largest, fewest - 1)
