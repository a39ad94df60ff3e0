"""MNIST binarized once and for all (Larochelle and Murray 2011), bits packed along rows.

Tests: tests/data/test_static_mnist.py.
"""

import os
import zipfile
from pathlib import Path

import numpy as np

from ctc_jax.data.source import Arrays, Source, Unavailable
from ctc_jax.errors import ConfigError, UserError

NAME = "binarized_mnist.npz"
SPLITS = {"train": 50_000, "valid": 10_000, "test": 10_000}
MEANS = {"train": 0.13056, "valid": 0.13113, "test": 0.13251}


def load(source: Source) -> Arrays:
    """From `source.path`, `source.directory` or $CTC_JAX_DATA, in this order; it has no labels.

    Raises:
      UserError: the file is nowhere.
      ConfigError: it is not what it should be.
    """
    folders = dict.fromkeys([source.directory, Path(os.environ.get("CTC_JAX_DATA") or source.directory).expanduser()])
    places = [Path(source.path).expanduser()] if source.path else [folder / NAME for folder in folders]
    for place in places:
        if place.is_file():
            try:
                return read(place)
            except Unavailable as error:
                raise ConfigError("data.path", str(place), f"the published file ({error})") from None
    raise UserError(
        f"static_mnist was found nowhere; tried {', '.join(map(str, places))}. To get it: set config.data.path to an"
        f" .npz with train, valid and test, each uint8 of 98 columns (784 packed bits); or binarize here with"
        f" --config.data.name=mnist --config.data.binarization=threshold (numbers then differ from published ones)"
    )


def read(path: Path) -> Arrays:
    """Unpack the three splits.

    Raises:
      Unavailable: an array is missing, or its type, shape or mean is not the published one.
    """
    images = {}
    try:
        # Opened here: numpy leaves a broken file open.
        with open(path, "rb") as file, np.load(file) as archive:
            packed = {split: archive[split] for split in SPLITS}
    except (OSError, ValueError, EOFError, LookupError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise Unavailable(f"it cannot be read: {error}") from None
    for split, rows in packed.items():
        if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 98:
            raise Unavailable(f"{split} is {rows.dtype} {rows.shape}, not uint8 (n, 98)")
        images[split] = np.unpackbits(rows, axis=1).reshape(-1, 28, 28, 1)
        mean = images[split].mean()
        if len(rows) == SPLITS[split] and abs(mean - MEANS[split]) > 1e-5:
            raise Unavailable(f"the mean of {split} is {mean:.5f}, not {MEANS[split]}")
    train = np.concatenate([images["train"], images["valid"]])
    no_labels = np.zeros(len(train), np.int32)
    test_labels = np.zeros(len(images["test"]), np.int32)
    return Arrays(train, no_labels, images["test"], test_labels, 1, str(path), len(images["valid"]), 1)
