"""Image datasets prepared by TensorFlow Datasets, read without TensorFlow. Tests: tests/data/test_prepared.py."""

import importlib.util
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import logging
from PIL import Image

from ctc_jax.data.pictures import fit
from ctc_jax.data.source import Arrays, Source, Unavailable
from ctc_jax.errors import ConfigError

HOW = "pip install tensorflow; tfds build NAME --file_format=array_record"
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
        raise ConfigError("data.path", source.path, f"a prepared TFDS image dataset ({error})") from None


def cache_name(source: Source) -> str:
    """Tells apart datasets, versions and image sizes."""
    folder = find(source)
    tail = "-".join(folder.relative_to(source.tfds_directory).parts)
    return f"tfds-{tail}-{source.image_size}" if source.image_size else f"tfds-{tail}"


def find(source: Source) -> Path:
    """The folder of the dataset that `source.path` names.

    Raises:
      ConfigError: it is not prepared; the message says how to prepare it.
    """
    try:
        return find_version(source.tfds_directory, source.path)
    except Unavailable as error:
        raise ConfigError("data.path", source.path, f"a prepared TFDS image dataset ({error})") from None


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
        raise Unavailable(f"no {name} in {directory}; to prepare it: {HOW.replace('NAME', base or 'NAME')}")
    return versions[max(versions)]


def read(source: Source, name: str, validation: int | None = None, order: str = "") -> Arrays:
    """The splits `train` and `test` (held out later where there is none).

    Args:
      source: where prepared datasets lie, and the size of the images.
      name: NAME, NAME/CONFIG or either with :VERSION.
      validation: as in `Arrays`.
      order: the feature to sort by, which undoes the shuffling of the preparation; "" keeps the prepared order.

    Raises:
      Unavailable: the dataset is not prepared, or holds no 8-bit images.
      ConfigError: its images differ in size and `data.image_size` is 0.
    """
    folder = find_version(source.tfds_directory, name)
    # Imported late: it takes a second, and a run on other data does not need it.
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    pictures = [key for key, feature in builder.info.features.items() if isinstance(feature, tfds.features.Image)]
    if not pictures or "train" not in builder.info.splits:
        raise Unavailable(f"{folder} has no images or no split named train")
    if builder.info.features[pictures[0]].np_dtype != np.uint8:
        raise Unavailable(f"{folder} holds images of {builder.info.features[pictures[0]].np_dtype}, not uint8")
    labels = [key for key, feature in builder.info.features.items() if isinstance(feature, tfds.features.ClassLabel)]
    classes = builder.info.features[labels[0]].num_classes if labels else 1
    # Bytes are decoded here: the library would warn that OpenCV is missing, and would decode what is not needed.
    decoders = {key: tfds.decode.SkipDecoding() for key in pictures}

    def split(part: str) -> tuple[np.ndarray, np.ndarray]:
        try:
            examples = builder.as_data_source(part, decoders=decoders)
        except NotImplementedError:
            raise Unavailable(f"{folder} is not in the array_record format; to prepare it: {HOW}") from None
        first = decode(examples[0][pictures[0]], source)
        images = source.allocate((len(examples), *first.shape))
        numbers = np.zeros(len(examples), np.int32)
        places = []
        for index in range(len(examples)):
            example = examples[index]
            image = decode(example[pictures[0]], source)
            if image.shape != first.shape:
                allowed = f"a side to scale to, since images of {first.shape} and {image.shape} are in {folder}"
                raise ConfigError("data.image_size", source.image_size, allowed)
            images[index] = image
            numbers[index] = example[labels[0]] if labels else 0
            places.append(example[order] if order else index)
        if not order:
            return images, numbers
        ranks = sorted(range(len(examples)), key=places.__getitem__)
        return images[ranks], numbers[ranks]

    train = split("train")
    empty = (np.zeros((0, *train[0].shape[1:]), np.uint8), np.zeros(0, np.int32))
    test = split("test") if "test" in builder.info.splits else empty
    return Arrays(*train, *test, classes, f"TFDS {builder.info.full_name}", validation)


def decode(content: bytes, source: Source) -> np.ndarray:
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
