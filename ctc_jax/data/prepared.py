"""Image datasets prepared by TensorFlow Datasets, read without TensorFlow. Tests: tests/data/test_prepared.py."""

import importlib.util
import io
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import Int32, UInt8
from PIL import Image

from ctc_jax.data.cache import fingerprint
from ctc_jax.data.pictures import fit
from ctc_jax.data.source import Arrays, Source, Unavailable
from ctc_jax.errors import ConfigError, UserError

HOW = "to prepare one: pip install tensorflow, then tfds build NAME --file_format=array_record"
PREPARE = (
    "import sys, tensorflow_datasets as tfds;"
    "tfds.builder(sys.argv[1], data_dir=sys.argv[2], file_format='array_record').download_and_prepare()"
)


def load(source: Source) -> Arrays:
    """Any prepared image dataset; `source.path` is NAME, NAME/CONFIG or either with :VERSION.

    Raises:
      ConfigError: it is not prepared, or holds no 8-bit images.
    """
    try:
        return read(source, source.path)
    except Unavailable as error:
        raise ConfigError("data.path", source.path, f"a prepared TFDS image dataset ({error}; {HOW})") from None


def cache_name(source: Source) -> str:
    """Changes with the dataset, its version, its files and the image size.

    Raises:
      ConfigError: it is not prepared; the message says how to prepare it.
    """
    try:
        folder = find_version(source.tfds_directory, source.path)
    except Unavailable as error:
        raise ConfigError("data.path", source.path, f"a prepared TFDS image dataset ({error}; {HOW})") from None
    name = "-".join(folder.relative_to(source.tfds_directory).parts)
    return f"tfds-{name}-{source.image_size}-{fingerprint(folder.iterdir())}"


def find_version(directory: Path, name: str) -> Path:
    """The folder of NAME[/CONFIG][:VERSION] in `directory`, of the highest version when none is named.

    Raises:
      Unavailable: it is not there.
    """
    base, _, version = name.partition(":")
    versions = {
        tuple(int(number) for number in path.parent.name.split(".")): path.parent
        for path in (directory / base).glob("*/dataset_info.json")
        if base and re.fullmatch(r"\d+\.\d+\.\d+", path.parent.name) and version in ("", path.parent.name)
    }
    if not versions:
        raise Unavailable(f"no dataset {name!r} in {directory}")
    return versions[max(versions)]


def read(source: Source, name: str, validation: int | None = None, order: str = "") -> Arrays:
    """The splits `train` and `test` (held out later where there is none).

    Args:
      source: where prepared datasets lie, and the size of the images.
      name: NAME, NAME/CONFIG or either with :VERSION.
      validation: as in `Arrays`.
      order: the feature to sort by, which undoes the shuffling of the preparation; "" keeps the prepared order.

    Raises:
      Unavailable: the dataset is not prepared, holds no 8-bit images or cannot be read.
      ConfigError: its images differ in size and `data.image_size` is 0.
    """
    folder = find_version(source.tfds_directory, name)
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
        parts = []
        for part in ("train", "test"):
            if part in splits:
                parts += read_split(builder.as_data_source(part, decoders=decoders), keys, source)
            else:
                parts += [parts[0][:0], parts[1][:0]]
    except ImportError as error:
        raise Unavailable(f"{folder} needs the packages tensorflow-datasets and array_record: {error}") from None
    except NotImplementedError:
        raise Unavailable(f"{folder} is not in the array_record format") from None
    except (UserError, Unavailable):
        raise
    except Exception as error:  # What the library's own dependencies raise at a damaged file has no common base.
        raise Unavailable(f"{folder} cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}") from None
    classes = features[labels[0]].num_classes if labels else 1
    return Arrays(*parts, classes, f"TFDS {builder.info.full_name}", validation)


def read_split(
    examples: Sequence[dict], keys: tuple[str, str, str], source: Source
) -> tuple[UInt8[np.ndarray, "n height width channels"], Int32[np.ndarray, " n"]]:
    """Images and labels; `keys` are the features of the image, of the label and to sort by, "" where there is none.

    Raises:
      ConfigError: images differ in size and `data.image_size` is 0.
    """
    picture, label, order = keys
    first = decode(examples[0][picture], source)
    images, labels, places = source.allocate((len(examples), *first.shape)), np.zeros(len(examples), np.int32), []
    for index in range(len(examples)):
        example = examples[index]
        image = decode(example[picture], source)
        if image.shape != first.shape:
            allowed = f"a side to scale to, since the dataset has images of {first.shape} and {image.shape}"
            raise ConfigError("data.image_size", source.image_size, allowed)
        images[index] = image
        labels[index] = example[label] if label else 0
        places.append(example[order] if order else index)
    if not order:
        return images, labels
    ranks = sorted(range(len(examples)), key=places.__getitem__)
    return images[ranks], labels[ranks]


def decode(content: bytes, source: Source) -> UInt8[np.ndarray, "height width channels"]:
    """The image in a PNG or JPEG, cropped and scaled when `source.image_size` asks for it."""
    with Image.open(io.BytesIO(content)) as image:
        return fit(image, source.image_size)


def prepare(source: Source, name: str, validation: int | None = None, order: str = "") -> Arrays:
    """Let TFDS download and prepare the dataset in a process of its own, where TensorFlow is installed.

    Raises:
      Unavailable: it is not, or the preparation fails.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise Unavailable("TensorFlow is not installed")
    logging.info("TFDS prepares %s in %s", name, source.tfds_directory)
    command = [sys.executable, "-c", PREPARE, name, str(source.tfds_directory)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable(lines[-1][:200] if lines else f"exit code {done.returncode}")
    return read(source, name, validation, order)
