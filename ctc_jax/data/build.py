"""From the config's `data` section to a dataset; what all datasets have in common. Tests: tests/data/test_build.py.

The splits are fixed:

| name | training | validation | test |
|---|---|---|---|
| shapes | 786432 | 4096 | 8192, all drawn from fixed seeds |
| cifar10 | the first 45000 | the last 5000 of the training file | 10000 |
| mnist, fashion_mnist | the first 50000 | the last 10000 of the training file | 10000 |
| static_mnist | 50000 | 10000 | 10000, the file's own |
| tfds, npz | the rest | the last tenth of the training part, at most 5000 | their own, else the last tenth |
| folder | the rest | as above | the last tenth in an order shuffled by a fixed seed |

CIFAR-10 has one order whatever its source. TFDS shuffles MNIST and Fashion-MNIST when it prepares them, so their
training and validation parts then differ from those of the published files; `Dataset.origin` says which it was.
`config.validation` replaces the number of validation images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from ctc_jax.data import cifar10, fashion_mnist, folder, mnist, npz, prepared, shapes, static_mnist
from ctc_jax.data.binarized import binarized
from ctc_jax.data.cache import cached
from ctc_jax.data.dataset import Dataset, Split
from ctc_jax.data.source import Arrays, Loader, Source, source_of
from ctc_jax.errors import ConfigError, choose

BINARIZATIONS = {"none": None, "dynamic": None, "threshold": None}
BINARIZATION_SEEDS = {"validation": 3_001, "test": 3_002}  # so that a reported bound is a fixed number


@dataclass(frozen=True)
class Recipe:
    """How a dataset is loaded, and the name its arrays are cached under; None is not to cache them."""

    load: Loader
    cache_name: Callable[[Source], str] | None = None


REGISTRY: dict[str, Recipe] = {
    "shapes": Recipe(shapes.load),
    "cifar10": Recipe(cifar10.load, lambda source: "cifar10"),
    "mnist": Recipe(mnist.load, lambda source: "mnist"),
    "static_mnist": Recipe(static_mnist.load),
    "fashion_mnist": Recipe(fashion_mnist.load, lambda source: "fashion_mnist"),
    "tfds": Recipe(prepared.load, prepared.cache_name),
    "folder": Recipe(folder.load, folder.cache_name),
    "npz": Recipe(npz.load),
}


def build(config: object) -> Dataset:
    """The dataset that the `data` section of a config asks for.

    Raises:
      ConfigError: a value does not fit; the message names its key.
      UserError: the data is nowhere to be had; the message says how to get it.
    """
    recipe = choose(REGISTRY, config.name, "data.name")
    choose(BINARIZATIONS, config.binarization, "data.binarization")
    if isinstance(config.bits, bool) or config.bits not in range(1, 9):
        raise ConfigError("data.bits", config.bits, "1 to 8")
    if config.binarization != "none" and config.bits not in (1, 8):
        raise ConfigError("data.bits", config.bits, f"1 or 8 when data.binarization is {config.binarization}")
    source = source_of(config)
    if recipe.cache_name is None:
        arrays = recipe.load(source)
    else:
        arrays = cached(source.directory, recipe.cache_name(source), lambda: recipe.load(source))
    if arrays.bits == 1 and config.binarization != "none":
        raise ConfigError("data.binarization", config.binarization, f"none: {config.name} is binary as it is")
    splits = divide(arrays, config.validation)
    untouched = config.bits == 8 and config.binarization == "none"
    return Dataset(
        name=config.name,
        **{part: Split(levels(split.images, part, arrays, config), split.labels) for part, split in splits.items()},
        bits=config.bits if config.binarization == "none" and arrays.bits == 8 else 1,
        classes=arrays.classes,
        binarization="static" if arrays.bits == 1 else config.binarization,
        log_prob=arrays.log_prob if untouched else None,
        origin=arrays.origin,
    )


def divide(arrays: Arrays, validation: int) -> dict[str, Split]:
    """Training, validation and test parts; validation is `validation` images, or the dataset's own number when -1.

    Raises:
      ConfigError: no training image would be left.
    """
    images, labels = arrays.images, arrays.labels
    test_images, test_labels = arrays.test_images, arrays.test_labels
    if len(images) < 3:
        raise ConfigError("data.path", arrays.origin, f"at least 3 images; it has {len(images)}")
    if not len(test_images):
        held_out = -(-len(images) // 10)
        test_images, test_labels = images[-held_out:], labels[-held_out:]
        images, labels = images[:-held_out], labels[:-held_out]
    own = arrays.validation if arrays.validation is not None else min(-(-len(images) // 10), 5_000)
    count = own if validation == -1 else validation
    if not 0 <= count < len(images):
        raise ConfigError("data.validation", validation, f"-1, or 0 to {len(images) - 1} of the training images")
    cut = len(images) - count
    return {
        "train": Split(images[:cut], labels[:cut]),
        "validation": Split(images[cut:], labels[cut:]),
        "test": Split(test_images, test_labels),
    }


def levels(
    images: UInt8[np.ndarray, "n height width channels"], part: str, arrays: Arrays, config: object
) -> UInt8[np.ndarray, "n height width channels"]:
    """The levels a likelihood sees (grey still, for a training part whose batches are binarized anew)."""
    if arrays.bits == 1:
        return images
    if config.binarization == "threshold":
        return (images >= 128).astype(np.uint8)
    if config.binarization == "dynamic":
        if part == "train":
            return images
        return binarized(images, np.random.default_rng(BINARIZATION_SEEDS[part]))
    return images >> (8 - config.bits) if config.bits < 8 else images
