"""Where prepared data lie and are kept. Tests: tests/data/test_places.py."""

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ctc_jax.options import OptionError


def user_path(path: str) -> Path:
    """The path with a home in place of a tilde; as it is where there is none, which `Path.expanduser` refuses."""
    return Path(os.path.expanduser(path))


@dataclass(frozen=True)
class Places:
    """Folders that a dataset may use.

    Attributes:
      directory: where prepared arrays are kept.
      tfds_directory: where prepared TFDS datasets lie.
    """

    directory: Path
    tfds_directory: Path

    @classmethod
    def named(cls, directory: str = "", tfds_directory: str = "") -> "Places":
        """The folders of that name; "" is the one that the environment names, else one in the user's home."""
        directory = directory or os.environ.get("CTC_JAX_DATA") or "~/.cache/ctc_jax/data"
        prepared = tfds_directory or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
        return cls(user_path(directory), user_path(prepared))

    def allocate(self, shape: tuple[int, ...]) -> UInt8[np.ndarray, "..."]:
        """An array backed by an unnamed file in `directory`, for pixels that may not fit in memory.

        Raises:
          OptionError: `directory` cannot be written.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory) as file:
                if hasattr(os, "posix_fallocate"):  # A full disk is then an error here, not a bus error later.
                    os.posix_fallocate(file.fileno(), 0, max(1, math.prod(shape)))
                return np.memmap(file, np.uint8, "w+", shape=shape)
        except OSError as error:
            raise OptionError("directory", str(self.directory), f"a writable folder ({error.strerror})") from None
