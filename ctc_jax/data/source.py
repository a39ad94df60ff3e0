"""What a loader is asked for and what it answers. Tests: tests/data/test_source.py."""

import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import Int32, UInt8

from ctc_jax.errors import ConfigError, UserError


@dataclass(frozen=True)
class Source:
    """Where a loader may look, from the config's `data` section.

    Attributes:
      path: the file, folder or TFDS name the user gave; may be "".
      directory: where prepared data is cached.
      tfds_directory: where prepared TFDS datasets lie.
      image_size: side of square images to crop and scale to; 0 keeps the size.
    """

    path: str
    directory: Path
    tfds_directory: Path
    image_size: int

    def allocate(self, shape: tuple[int, ...]) -> UInt8[np.ndarray, "..."]:
        """An array backed by an unnamed file in `directory`, for pixels that may not fit in memory.

        Raises:
          ConfigError: `directory` cannot be written.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory) as file:
                if hasattr(os, "posix_fallocate"):  # A full disk is then an error here, not a bus error later.
                    os.posix_fallocate(file.fileno(), 0, max(1, math.prod(shape)))
                return np.memmap(file, np.uint8, "w+", shape=shape)
        except OSError as error:
            raise ConfigError("data.directory", str(self.directory), f"a writable folder ({error.strerror})") from None


@dataclass(frozen=True)
class Arrays:
    """A dataset as its source gives it, before validation is split off and bits are dropped.

    Attributes:
      images, labels: the training part, validation images at its end.
      test_images, test_labels: empty where the source has no test part; some of the training part is then held out.
      classes: number of labels, 1 when there are none.
      origin: where the pixels came from, in words.
      validation: how many images at the end of the training part; None is a tenth, at most 5000.
      bits: of a pixel; 1 when the source itself is binary, its levels then being 0 and 1.
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
    log_prob: Callable | None = None


Loader = Callable[[Source], Arrays]


class Unavailable(Exception):
    """One way to a dataset is closed; the message says why in a few words."""


def first_of(name: str, source: Source, ways: dict[str, Loader], advice: str) -> Arrays:
    """The dataset by the first of `ways` (described by their keys) that is open.

    Raises:
      UserError: none is; one line says what was tried and every way to get the data.
    """
    reasons = []
    for way, load in ways.items():
        try:
            arrays = load(source)
        except Unavailable as error:
            logging.info("%s: %s: %s", name, way, error)
            reasons.append(f"{way} ({error})")
        else:
            logging.info("%s: %s", name, arrays.origin)
            return arrays
    raise UserError(
        f"{name} was found nowhere; tried {'; '.join(reasons)}. To get it: mend one of these; or put a dataset prepared"
        f" by `tfds build {name} --file_format=array_record` (needs TensorFlow) into config.data.tfds_directory; or"
        f" give arrays of your own by --config.data.name=npz --config.data.path=FILE.npz{advice}"
    )


def source_of(config: object) -> Source:
    """The `data` section's places, with environment variables and defaults filled in."""
    directory = config.directory or os.environ.get("CTC_JAX_DATA") or "~/.cache/ctc_jax/data"
    prepared = config.tfds_directory or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Source(config.path, Path(directory).expanduser(), Path(prepared).expanduser(), config.image_size)
