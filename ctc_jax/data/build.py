"""From the config's `data` section to a dataset; what all datasets have in common. Tests: tests/data/test_build.py.

The splits are fixed:

| name | training | validation | test |
|---|---|---|---|
| shapes | 786432 | 4096 | 8192, all drawn from fixed seeds |
| cifar10 | the first 45000 | the last 5000 of the training file | 10000 |
| mnist, fashion_mnist | the first 50000 | the last 10000 of the training file | 10000 |
| static_mnist | 50000 | 10000 | 10000, the file's own |
| tfds, npz | the rest | the last tenth of the training part, at most 5000 | their own, else the last tenth |
| folder | the rest | its own, else as above | its own, else the last tenth in an order shuffled by a fixed seed |

CIFAR-10 has one order whatever its source. TFDS shuffles MNIST and Fashion-MNIST when it prepares them, so their
training and validation parts then differ from those of the published files; `Dataset.origin` says which it was.
`config.data.validation` replaces the number of validation images.
"""

import dataclasses
import logging
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from ctc_jax.data.binarization import binarized
from ctc_jax.data.cache import cached
from ctc_jax.data.dataset import Dataset, Split
from ctc_jax.data.places import Places
from ctc_jax.data.registry import REGISTRY
from ctc_jax.data.source import Arrays, Source
from ctc_jax.data.variation import Variation
from ctc_jax.errors import ConfigError, UserError
from ctc_jax.options import ConfigSection, OptionError, Options, Section, at, option

LOGGER = logging.getLogger(__name__)

BINARIZATION_SEEDS = {"validation": 3_001, "test": 3_002}  # so that a reported bound is a fixed number
VARIATION_SEEDS = {"validation": 3_003, "test": 3_004}
CHUNK = 4_096  # images looked at together


@dataclass(frozen=True)
class Shared(Options):
    """What all datasets have in common."""

    directory: str = option("", "where prepared data is kept; '' is $CTC_JAX_DATA or ~/.cache/ctc_jax/data")
    tfds_directory: str = option(
        "",
        "where prepared TFDS datasets lie; '' is $TFDS_DATA_DIR or ~/tensorflow_datasets (all but shapes, npz, folder)",
    )
    validation: int = option(
        -1, "images taken from the end of the training part; -1 is the dataset's documented split", at_least=-1
    )
    bits: int = option(8, "of a pixel: lower ones that it has are dropped", at_least=1, at_most=8)
    binarization: str = option(
        "none",
        "dynamic draws each pixel anew from (seed, step), threshold cuts at half",
        choices=("none", "dynamic", "threshold"),
    )
    shrink: int = option(1, "images are averaged over squares of this side first", at_least=1)
    canvas: int = option(
        0, "side of a black square on which images lie at places drawn anew from (seed, step); 0 is none", at_least=0
    )
    objects: int = option(1, "images on a canvas, the label being that of the first; the rest are drawn", at_least=1)
    distractors: int = option(0, "pieces of other images on a canvas", at_least=0)
    contrast: float = option(
        0.0, "levels are times a number from 1 - contrast to 1, drawn anew from (seed, step)", at_least=0, below=1
    )
    brightness: float = option(
        0.0, "black becomes a level from 0 to this share of what contrast leaves free", at_least=0, at_most=1
    )
    device_budget_mib: int = option(
        1024, "a training part that fits lives on the devices, else the host gathers", at_least=0
    )

    def check(self) -> None:
        """Refuses some bits of what is binarized, company without a canvas, and brightness without contrast."""
        if self.binarization != "none" and self.bits not in (1, 8):
            raise OptionError("bits", self.bits, f"1 or 8 when data.binarization is {self.binarization}")
        if not self.canvas and (self.objects, self.distractors) != (1, 0):
            name, only = ("objects", 1) if self.objects != 1 else ("distractors", 0)
            raise OptionError(name, getattr(self, name), f"{only} without data.canvas")
        if self.brightness and not self.contrast:
            raise OptionError("brightness", self.brightness, "0 without data.contrast, which leaves it room")

    @property
    def varies(self) -> bool:
        """Whether places or contrasts are drawn."""
        return bool(self.canvas or self.contrast)

    def variation(self, highest: int) -> Variation:
        """What is drawn, of images of levels 0 to `highest`."""
        return Variation(highest, self.canvas, self.objects, self.distractors, self.contrast, self.brightness)


SECTION = Section("data", REGISTRY, "cifar10", Shared, "where the pixels come from")
# Keys that say where the data are, and not which: a run's data may be moved.
WHERE = (
    "data.directory",
    "data.tfds_directory",
    "data.device_budget_mib",
    *(f"data.{name}.path" for name, source in REGISTRY.items() if "path" in source.__dataclass_fields__),
)


def build(config: ConfigSection) -> Dataset:
    """The dataset that the `data` section of a config asks for.

    Raises:
      ConfigError: a value does not fit; the message names its key.
      UserError: the data is nowhere to be had; the message says how to get it.
    """
    source, shared = SECTION.read(config)
    name = config.get("name", SECTION.default)
    try:
        arrays = load(source, Places.named(shared.directory, shared.tfds_directory))
        for note in arrays.notes:
            LOGGER.warning("data %s: %s", name, note)
        return from_arrays(arrays, shared, name)
    except OptionError as error:
        of_all = {field.name for field in dataclasses.fields(Shared)}
        raise at("data" if error.name in of_all else f"data.{name}", error) from None


def stand_in(config: ConfigSection, count: int) -> tuple[Dataset, int]:
    """Noise of the shape, the bits and the classes of what `build` would give, and how many training images that has.

    Nothing is fetched where the source is known without its data; others are built.

    Args:
      config: as of `build`.
      count: training images of noise.

    Raises:
      ConfigError: a value does not fit; the message names its key.
      UserError: the data is needed, and nowhere to be had.
    """
    source, shared = SECTION.read(config)
    known = source.known
    if known is None:
        dataset = build(config)
        return dataset, len(dataset.train)
    validation = known.validation if shared.validation == -1 else shared.validation
    if not 1 <= validation < known.images:
        raise ConfigError("data.validation", validation, f"-1, or 1 to {known.images - 1} of the training images")
    noise = np.random.default_rng(0).integers(0, 2**known.bits, (count + 1, *known.shape), np.uint8)
    labels = np.zeros(count + 1, np.int32)
    arrays = Arrays(noise, labels, noise, labels, known.classes, "not looked for", validation=1, bits=known.bits)
    name = config.get("name", SECTION.default)
    try:
        return from_arrays(arrays, dataclasses.replace(shared, validation=-1), name), known.images - validation
    except OptionError as error:
        raise at("data", error) from None


def places(config: ConfigSection) -> Places:
    """The folders that the `data` section of a config names.

    Raises:
      ConfigError: a value does not fit.
    """
    shared = SECTION.read_shared(config)
    return Places.named(shared.directory, shared.tfds_directory)


def load(source: Source, places: Places) -> Arrays:
    """The arrays that a source's options ask for, kept where it says so.

    Raises:
      OptionError: an option does not fit.
      UserError: the data is nowhere to be had.
    """
    name = source.cache_name(places)
    return cached(places.directory, name, lambda: source.build(places)) if name else source.build(places)


def from_arrays(arrays: Arrays, options: Shared, name: str) -> Dataset:
    """Splits, bits and binarization.

    Raises:
      OptionError: an option does not fit the arrays.
      UserError: these are no data to train on.
    """
    binary = arrays.bits == 1 or options.bits == 1 or options.binarization == "threshold"
    if options.contrast and (binary and options.binarization != "dynamic"):
        raise OptionError("contrast", options.contrast, "0 with binary pixels, unless data.binarization is dynamic")
    if arrays.bits == 1 and options.binarization != "none":
        raise OptionError("binarization", options.binarization, f"none: {name} is binary as it is")
    if is_constant(arrays.images):
        raise UserError(f"data {name}: all pixels of all {len(arrays.images)} images in {arrays.origin} are the same")
    if options.shrink > 1:
        small = {name: shrunk(getattr(arrays, name), options.shrink) for name in ("images", "test_images")}
        arrays = dataclasses.replace(arrays, **small)
    parts = {
        part: as_seen(split, part, arrays.bits, options) for part, split in divide(arrays, options.validation).items()
    }
    key = "bits" if options.binarization == "none" else "binarization"
    if is_constant(parts["train"].images):
        raise OptionError(key, getattr(options, key), "what leaves a difference between the pixels of training images")
    untouched = (options.bits, options.binarization, options.shrink, options.varies) == (8, "none", 1, False)
    return Dataset(
        name=name,
        **parts,
        bits=min(options.bits, arrays.bits) if options.binarization == "none" else 1,
        classes=arrays.classes,
        binarization="static" if arrays.bits == 1 else options.binarization,
        log_prob=arrays.log_prob if untouched else None,
        origin=arrays.origin,
        notes=arrays.notes,
    )


def divide(arrays: Arrays, validation: int) -> dict[str, Split]:
    """Training, validation and test parts; validation is `validation` images, or the dataset's own number when -1.

    Raises:
      UserError: there are fewer than 3 images.
      OptionError: no training or no validation image would be left.
    """
    images, labels = arrays.images, arrays.labels
    test = Split(arrays.test_images, arrays.test_labels)
    if len(images) < 3:
        raise UserError(f"data takes at least 3 training images; {arrays.origin} has {len(images)}")
    if not len(test):
        # The source's own validation images stay at the end.
        end = len(images) - (arrays.validation or 0)
        first = end - -(-end // 10)
        test = Split(images[first:end], labels[first:end])
        if end < len(images):
            images, labels = (np.concatenate([part[:first], part[end:]]) for part in (images, labels))
        else:
            images, labels = images[:first], labels[:first]
    own = arrays.validation if arrays.validation is not None else min(-(-len(images) // 10), 5_000)
    count = own if validation == -1 else validation
    if not 1 <= count < len(images):  # without one there is no best checkpoint
        raise OptionError("validation", validation, f"-1, or 1 to {len(images) - 1} of the training images")
    cut = len(images) - count
    return {
        "train": Split(images[:cut], labels[:cut]),
        "validation": Split(images[cut:], labels[cut:]),
        "test": test,
    }


def as_seen(split: Split, part: str, stored_bits: int, options: Shared) -> Split:
    """The part as a likelihood sees it; of a training part what is drawn anew at each step is left to be drawn.

    Raises:
      OptionError: a canvas that does not hold the images.
    """
    highest, images = 2**stored_bits - 1, split.images
    if options.binarization == "threshold":
        images, highest = (images > highest // 2).astype(np.uint8), 1
    elif options.binarization == "none" and stored_bits > options.bits:
        images, highest = images >> (stored_bits - options.bits), 2**options.bits - 1
    if options.varies:
        variation = options.variation(highest)
        variation.check(*images.shape[1:3])
        if part == "train":
            split = dataclasses.replace(split, variation=variation)
        else:
            generator = np.random.default_rng(VARIATION_SEEDS[part])
            images, corners = variation.draw_with_corners(images, np.arange(len(images)), generator)
            split = dataclasses.replace(split, corners=corners)
    if options.binarization == "dynamic" and part == "train":
        split = dataclasses.replace(split, highest_grey=highest)
    elif options.binarization == "dynamic":
        images = binarized(images, highest, np.random.default_rng(BINARIZATION_SEEDS[part]))
    return dataclasses.replace(split, images=images)


def shrunk(images: UInt8[np.ndarray, "n height width channels"], by: int) -> UInt8[np.ndarray, "n _ _ channels"]:
    """Means over squares of that side, rounded.

    Raises:
      OptionError: it does not divide the sides.
    """
    count, height, width, channels = images.shape
    if height % by or width % by:
        raise OptionError("shrink", by, f"a divisor of height and width: images are {height}x{width}")
    means = [
        np.rint(images[first : first + CHUNK].reshape(-1, height // by, by, width // by, by, channels).mean((2, 4)))
        for first in range(0, max(count, 1), CHUNK)
    ]
    return np.concatenate(means).astype(np.uint8)


def is_constant(images: UInt8[np.ndarray, "n height width channels"]) -> bool:
    """Whether all pixels of all images are the same."""
    return all(np.all(images[i : i + CHUNK] == images.flat[0]) for i in range(0, len(images), CHUNK))
