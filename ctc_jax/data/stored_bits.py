"""How many bits the pixels of a file have, told from their largest level. Tests: tests/data/test_stored_bits.py."""

from typing import Any

from ctc_jax.options import OptionError, option

MEANING = "bits of its pixels, whose levels are 0 to 2**bits - 1; 0 tells them from the data"


def stored_bits_option() -> Any:
    """The option of a dataset whose files do not say it."""
    return option(0, MEANING, at_least=0, at_most=8)


def tell_bits(largest: int, asked: int) -> tuple[int, tuple[str, ...]]:
    """Bits of a pixel, and what to say of them.

    Levels of few bits reach the largest one, and those of 8 bits reach 128: what lies between must be asked for.

    Args:
      largest: level of all images.
      asked: bits that somebody says they have; 0 is nothing said.

    Raises:
      OptionError: `stored_bits` does not fit the largest level, or is needed.
    """
    told = largest.bit_length()
    if asked:
        if told > asked:
            raise OptionError("stored_bits", asked, f"0, or {told} to 8: the largest level is {largest}")
        return asked, ()
    if told in (0, 8):
        return 8, ()  # 0: all pixels are the same, which is refused later
    if largest < 2**told - 1:
        allowed = f"{told} to 8: the largest level is {largest}, of few levels or of dark 8-bit images"
        raise OptionError("stored_bits", asked, allowed)
    return told, (f"levels are 0 to {largest}, {told}-bit; of dark 8-bit images stored_bits must say so",)
