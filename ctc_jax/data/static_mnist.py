"""MNIST binarized once and for all (Larochelle and Murray 2011), bits packed along rows.

Tests: tests/data/test_static_mnist.py.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctc_jax.data.archive import Unreadable, read_arrays
from ctc_jax.data.places import Places, user_path
from ctc_jax.data.source import Arrays, Known, Source
from ctc_jax.errors import UserError
from ctc_jax.options import OptionError, option

NAME = "binarized_mnist.npz"
SPLITS = {"train": 50_000, "valid": 10_000, "test": 10_000}
MEANS = {"train": 0.13056, "valid": 0.13113, "test": 0.13251}


@dataclass(frozen=True)
class StaticMnist(Source):
    """The published file; it has no labels."""

    path: str = option("", f"the file; '' looks for {NAME} in data.directory, then in $CTC_JAX_DATA")
    known = Known((28, 28, 1), SPLITS["train"] + SPLITS["valid"], SPLITS["valid"], classes=1, bits=1)

    def build(self, places: Places) -> Arrays:
        """The file's own splits.

        Raises:
          UserError: the file is nowhere.
          OptionError: it is not what it should be.
        """
        folders = dict.fromkeys([places.directory, user_path(os.environ.get("CTC_JAX_DATA") or str(places.directory))])
        candidates = [user_path(self.path)] if self.path else [folder / NAME for folder in folders]
        for path in candidates:
            if os.path.exists(path):
                try:
                    return read(path)
                except Unreadable as error:
                    raise OptionError("path", str(path), f"the published file ({error})") from None
        raise UserError(
            f"static_mnist was found nowhere; tried {', '.join(map(str, candidates))}. To get it: set"
            f" config.data.static_mnist.path to an .npz with train, valid and test, each uint8 of 98 columns (784"
            f" packed bits); or binarize here with --config.data.name=mnist --config.data.binarization=threshold"
            f" (numbers then differ from published ones)"
        )


def read(path: Path) -> Arrays:
    """Unpack the three splits.

    Raises:
      Unreadable: an array is missing, or its type, shape or mean is not the published one.
    """
    images = {}
    packed = read_arrays(path, SPLITS)
    if missing := [split for split in SPLITS if split not in packed]:
        raise Unreadable(f"it lacks {', '.join(missing)}")
    for split, rows in packed.items():
        if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 98 or not len(rows):
            raise Unreadable(f"{split} is {rows.dtype} {rows.shape}, not uint8 (n, 98)")
        images[split] = np.unpackbits(rows, axis=1).reshape(-1, 28, 28, 1)
        mean = images[split].mean()
        if len(rows) == SPLITS[split] and abs(mean - MEANS[split]) > 1e-5:
            raise Unreadable(f"the mean of {split} is {mean:.5f}, not {MEANS[split]}")
    train = np.concatenate([images["train"], images["valid"]])
    no_labels = np.zeros(len(train), np.int32)
    test_labels = np.zeros(len(images["test"]), np.int32)
    return Arrays(train, no_labels, images["test"], test_labels, 1, str(path), len(images["valid"]), 1)
