"""What a source of pixels is asked for and what it answers. Tests: tests/data/test_source.py."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from ctc_jax.data.places import Places
from ctc_jax.errors import UserError
from ctc_jax.options import Options

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrays:
    """A dataset as its source gives it, before validation is split off and bits are dropped.

    Attributes:
      images, labels: the training part, validation images at its end.
      test_images, test_labels: empty where the source has no test part; some of the training part is then held out.
      classes: number of labels, 1 when there are none.
      origin: where the pixels came from, in words.
      validation: how many images at the end of the training part; None is a tenth, at most 5000.
      bits: of a pixel as stored, 1 to 8: levels are 0 .. 2**bits - 1.
      notes: what was left out or is not as it seems, a sentence each.
      log_prob: the exact log-probability where it is known.
    """

    images: UInt8[np.ndarray, "n height width channels"]
    labels: Int32[np.ndarray, " n"]
    test_images: UInt8[np.ndarray, "m height width channels"]
    test_labels: Int32[np.ndarray, " m"]
    classes: int
    origin: str
    validation: int | None = None
    bits: int = 8
    notes: tuple[str, ...] = ()
    log_prob: Callable | None = None


class Known(NamedTuple):
    """What is known of a dataset before it is fetched: an image's shape, numbers of images, the rest as in `Arrays`."""

    shape: tuple[int, int, int]
    images: int
    validation: int
    classes: int
    bits: int = 8


@dataclass(frozen=True)
class Source(Options):
    """Base of the options of every dataset. A subclass states its own, and loads what they ask for."""

    known: ClassVar[Known | None] = None

    def build(self, places: Places) -> Arrays:
        """The arrays.

        Raises:
          OptionError: an option does not lead to data of a form that can be read.
          UserError: the data is nowhere to be had; the message says how to get it.
        """
        raise NotImplementedError

    def cache_name(self, places: Places) -> str:
        """The name that the arrays are kept under, another one for other content; "" is not to keep them."""
        del places
        return ""


class Unavailable(Exception):
    """One way to a dataset is closed; the message says why in a few words."""


def reason(error: Exception) -> str:
    """The first line of an error's message, at most 200 characters; the error's kind where it has none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def first_of(name: str, places: Places, ways: dict[str, Callable[[Places], Arrays]], advice: str) -> Arrays:
    """The dataset by the first of `ways` (described by their keys) that is open.

    Raises:
      UserError: none is; one line says what was tried and every way to get the data.
    """
    reasons = []
    for way, load in ways.items():
        try:
            arrays = load(places)
        except Unavailable as error:
            LOGGER.info("%s: %s: %s", name, way, error)
            reasons.append(f"{way} ({error})")
        else:
            LOGGER.info("%s: %s", name, arrays.origin)
            return arrays
    raise UserError(
        f"{name} was found nowhere; tried {'; '.join(reasons)}. To get it: mend one of these; or put a dataset prepared"
        f" by `tfds build {name} --file_format=array_record` (needs TensorFlow) into config.data.tfds_directory; or"
        f" give arrays of your own by --config.data.name=npz --config.data.npz.path=FILE.npz{advice}"
    )
