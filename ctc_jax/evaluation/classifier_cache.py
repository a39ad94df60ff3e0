"""Classifiers kept beside the prepared data, each trained once. Tests: tests/evaluation/test_classifier_cache.py."""

import hashlib
import logging
import os
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from ctc_jax.data import Dataset
from ctc_jax.data.archive import Unreadable, read_arrays
from ctc_jax.errors import ConfigError
from ctc_jax.evaluation.classifier import STEPS, Classifier, ClassifierNetwork, train_classifier
from ctc_jax.evaluation.even_rows import even_rows

LOGGER = logging.getLogger(__name__)

VERSION = 1  # of the network and its training: a new one does not take the old one's files
FINGERPRINTED = 1000  # training images that tell datasets of one name apart
ACCURACY = "accuracy"


class Damaged(Exception):
    """A file does not hold the parameters that were written."""


def cached_classifier(dataset: Dataset, directory: Path, *, steps: int = STEPS) -> Classifier:
    """The dataset's classifier, trained and written first when it is not there or damaged.

    Two that were trained on different machines differ by rounding error grown large, and so do distances between their
    features: to compare figures across machines, copy the folder `classifiers` of the data directory.

    Args:
      dataset: with labels.
      directory: where prepared data is cached.
      steps: of training.

    Raises:
      ConfigError: `directory` cannot be written.
    """
    path = directory / "classifiers" / file_name(dataset, steps)
    if path.exists():
        try:
            return _read(path, dataset)
        except Damaged as error:
            LOGGER.warning("%s is damaged (%s): the classifier is trained anew", path, error)
    classifier = train_classifier(dataset, steps=steps)
    try:
        _write(path, classifier, dataset)
    except OSError as error:
        raise ConfigError("data.directory", str(directory), f"a writable folder ({error.strerror})") from None
    return _read(path, dataset)


def file_name(dataset: Dataset, steps: int = STEPS) -> str:
    """Differs where images, labels, bits, binarization, training or the network do."""
    digest = hashlib.sha256(f"{dataset.classes} {len(dataset.train)} {steps}".encode())
    digest.update(repr(dataset.train.variation or "").encode())
    rows = even_rows(len(dataset.train), FINGERPRINTED)
    for array in (dataset.train.images[rows], dataset.train.labels[rows]):
        digest.update(np.ascontiguousarray(array).tobytes())
    shape = "x".join(map(str, dataset.image_shape))
    parts = (dataset.name, f"{dataset.bits}bit", dataset.binarization, shape, digest.hexdigest()[:8], f"v{VERSION}")
    return "-".join(parts) + ".npz"


def _write(path: Path, classifier: Classifier, dataset: Dataset) -> None:
    """Under a name of its own, then renamed; a whole file that came in between is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flat = traverse_util.flatten_dict(classifier.params, sep="/")
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **{ACCURACY: classifier.accuracy}, **flat)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's own is the owner's alone
        if not _is_whole(path, dataset):
            os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _read(path: Path, dataset: Dataset) -> Classifier:
    """Raises `Damaged` for anything but what `_write` left there."""
    network = ClassifierNetwork(dataset.classes)
    expected = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, *dataset.image_shape)))
    shapes = {name: leaf.shape for name, leaf in traverse_util.flatten_dict(expected, sep="/").items()}
    try:
        arrays = read_arrays(path, {ACCURACY, *shapes})  # of which the file holds checksums
    except Unreadable as error:
        raise Damaged(str(error)) from None
    accuracy = arrays.pop(ACCURACY, None)
    if accuracy is None or accuracy.shape or {name: array.shape for name, array in arrays.items()} != shapes:
        raise Damaged("its arrays are not those of the network")
    return Classifier(traverse_util.unflatten_dict(arrays, sep="/"), float(accuracy))


def _is_whole(path: Path, dataset: Dataset) -> bool:
    try:
        _read(path, dataset)
    except Damaged:
        return False
    return True
