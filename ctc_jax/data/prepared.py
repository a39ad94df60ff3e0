"""Image datasets prepared by TensorFlow Datasets, read without TensorFlow. Tests: tests/data/test_prepared.py."""

import dataclasses
import importlib.util
import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from ctc_jax.data.cache import fingerprint, plain_name
from ctc_jax.data.labels import checked_labels
from ctc_jax.data.pictures import VERSION, opened, shown
from ctc_jax.data.places import Places
from ctc_jax.data.source import Arrays, Source, Unavailable, reason
from ctc_jax.data.stored_bits import stored_bits_option, tell_bits
from ctc_jax.errors import UserError
from ctc_jax.options import OptionError, option

LOGGER = logging.getLogger(__name__)

HOW = "to prepare one: pip install tensorflow, then tfds build NAME --file_format=array_record"
PREPARE = (
    "import sys, tensorflow_datasets as tfds;"
    "tfds.builder(sys.argv[1], data_dir=sys.argv[2], file_format='array_record').download_and_prepare()"
)


@dataclass(frozen=True)
class Tfds(Source):
    """Any prepared image dataset."""

    dataset: str = option("", "NAME, NAME/CONFIG or either with :VERSION")
    image_size: int = option(
        0, "side of the square that images are cropped and scaled to; 0 keeps their size", at_least=0
    )

    stored_bits: int = stored_bits_option()

    def build(self, places: Places) -> Arrays:
        """Its splits `train` and `test`; raises `OptionError` where it is not prepared or holds no 8-bit images."""
        try:
            arrays = read(places, self.dataset, image_size=self.image_size)
        except Unavailable as error:
            raise self._refused(error) from None
        largest = int(max(arrays.images.max(initial=0), arrays.test_images.max(initial=0)))
        bits, notes = tell_bits(largest, self.stored_bits)
        return dataclasses.replace(arrays, bits=bits, notes=(*arrays.notes, *notes))

    def cache_name(self, places: Places) -> str:
        """Changes with the dataset, its version, its files and the image size; raises as `build` does."""
        try:
            folder = find_version(places.tfds_directory, self.dataset)
        except Unavailable as error:
            raise self._refused(error) from None
        name = plain_name(f"{self.dataset.partition(':')[0]}-{folder.name}")
        return f"tfds-{name}-{self.image_size}-{self.stored_bits}-v{VERSION}-{fingerprint(folder.iterdir())}"

    def _refused(self, error: Unavailable) -> OptionError:
        return OptionError("dataset", self.dataset, f"a prepared TFDS image dataset ({error}; {HOW})")


def find_version(directory: Path, name: str) -> Path:
    """The folder of NAME[/CONFIG][:VERSION] in `directory`, of the highest version when none is named.

    Raises:
      Unavailable: it is not there.
    """
    base, _, version = name.partition(":")
    versions = {
        tuple(int(number) for number in path.parent.name.split(".")): path.parent
        for path in (directory / base).glob("*/dataset_info.json")
        if base
        and re.fullmatch(r"\d+\.\d+\.\d+", path.parent.name)
        and version in ("", path.parent.name)
        and os.path.isfile(path)
    }
    if not versions:
        raise Unavailable(f"no dataset {name!r} in {directory}")
    return versions[max(versions)]


def read(places: Places, name: str, validation: int | None = None, order: str = "", *, image_size: int = 0) -> Arrays:
    """The splits `train` and `test` (held out later where there is none).

    Args:
      places: where prepared datasets lie.
      name: NAME, NAME/CONFIG or either with :VERSION.
      validation: as in `Arrays`.
      order: the feature to sort by, which undoes the shuffling of the preparation; "" keeps the prepared order.
      image_size: side of the square that images are cropped and scaled to; 0 keeps their size.

    Raises:
      Unavailable: the dataset is not prepared, holds no 8-bit images or cannot be read.
      OptionError: its images differ in size and `image_size` is 0.
    """
    folder = find_version(places.tfds_directory, name)
    try:
        # Imported late: it takes a second, and a run on other data does not need it.
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(folder)
        features, splits = builder.info.features, builder.info.splits
        pictures = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
        labels = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
        if not pictures or features[pictures[0]].np_dtype != np.uint8 or "train" not in splits:
            raise Unavailable(f"{folder} has no 8-bit images or no split named train")
        # Bytes are decoded here: the library would warn that OpenCV is missing, and decode what is not needed.
        decoders = {key: tfds.decode.SkipDecoding() for key in pictures}
        keys = (pictures[0], labels[0] if labels else "", order)
        color = features[pictures[0]].shape[-1] != 1
        classes = features[labels[0]].num_classes if labels else 1
        read_parts = {}
        for part in ("train", "test"):
            if part in splits and splits[part].num_examples:
                source = builder.as_data_source(part, decoders=decoders)
                read_parts[part] = read_split(source, keys, image_size, color, places)
    except ImportError as error:
        raise Unavailable(f"{folder} needs the packages tensorflow-datasets and array_record: {error}") from None
    except NotImplementedError:
        raise Unavailable(f"{folder} is not in the array_record format") from None
    except (UserError, OptionError, Unavailable):
        raise
    except Exception as error:  # What the library's own dependencies raise at a damaged file has no common base.
        raise Unavailable(f"{folder} cannot be read: {reason(error)}") from None
    if "train" not in read_parts:
        raise Unavailable(f"{folder} has no training images")
    images, train_labels = read_parts["train"]
    test_images, test_labels = read_parts.get("test", (images[:0], train_labels[:0]))
    if np.any(test_labels < 0):  # how TFDS has labels that were never published
        test_images, test_labels = images[:0], train_labels[:0]
        del read_parts["test"]
    if test_images.shape[1:] != images.shape[1:]:
        shapes = f"train has images of {images.shape[1:]} and test of {test_images.shape[1:]}"
        raise OptionError("image_size", image_size, f"a side to scale to, since {shapes}")
    try:
        for own_labels in (train_labels, test_labels):
            checked_labels(own_labels, len(own_labels), classes)
    except ValueError as error:
        raise Unavailable(f"{folder}: {error}") from None
    unread = ", ".join(sorted(set(splits) - set(read_parts)))
    notes = (f"of {folder} these splits are not read: {unread}",) if unread else ()
    origin = f"TFDS {builder.info.full_name}"
    return Arrays(images, train_labels, test_images, test_labels, classes, origin, validation, notes=notes)


def read_split(
    examples: Sequence[dict], keys: tuple[str, str, str], image_size: int, color: bool, places: Places
) -> tuple[UInt8[np.ndarray, "n height width channels"], Int32[np.ndarray, " n"]]:
    """Images and labels; `keys` are the features of the image, of the label and to sort by, "" where there is none.

    Raises:
      OptionError: images differ in size and `image_size` is 0.
    """
    pixels, label, order = keys
    first = decode(examples[0][pixels], image_size, color)
    images, labels, ranks = places.allocate((len(examples), *first.shape)), np.zeros(len(examples), np.int32), []
    for index in range(len(examples)):
        example = examples[index]
        image = decode(example[pixels], image_size, color)
        if image.shape != first.shape:
            allowed = f"a side to scale to, since the dataset has images of {first.shape} and {image.shape}"
            raise OptionError("image_size", image_size, allowed)
        images[index] = image
        labels[index] = example[label] if label else 0
        ranks.append(example[order] if order else index)
    if not order:
        return images, labels
    ranks = sorted(range(len(examples)), key=ranks.__getitem__)
    return images[ranks], labels[ranks]


def decode(content: bytes, image_size: int, color: bool) -> UInt8[np.ndarray, "height width channels"]:
    """The image in a PNG or JPEG, cropped and scaled when `image_size` asks for it."""
    return opened(io.BytesIO(content), lambda image: shown(image, image_size, color=color))


def prepare(places: Places, name: str, validation: int | None = None, order: str = "") -> Arrays:
    """Let TFDS download and prepare the dataset in a process of its own, where TensorFlow is installed.

    Raises:
      Unavailable: it is not, or the preparation fails.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise Unavailable("TensorFlow is not installed")
    LOGGER.info("TFDS prepares %s in %s", name, places.tfds_directory)
    command = [sys.executable, "-c", PREPARE, name, str(places.tfds_directory)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable(lines[-1][:200] if lines else f"exit code {done.returncode}")
    return read(places, name, validation, order)
