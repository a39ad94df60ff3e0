"""Spaces in which sets of images are compared. Tests: tests/evaluation/test_features.py.

None of the registry is comparable with Inception features, which need a user's weights (inception.py): distances in
them rank models measured here, and nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Float, Float32, Num

from ctc_jax.data import Dataset
from ctc_jax.evaluation.classifier import ClassifierNetwork
from ctc_jax.evaluation.classifier_cache import cached_classifier
from ctc_jax.evaluation.random_features import random_features

IMAGES_PER_CALL = 500


@dataclass(frozen=True)
class FeatureSpace:
    """A function of single images.

    Attributes:
      extract: images of levels rescaled to [0, 1] to features, compiled.
      figures: numbers about the space itself.
      images_per_call: of the device.
    """

    extract: Callable[[Float[Array, "batch height width channels"]], Float[Array, "batch features"]]
    figures: Mapping[str, float] = field(default_factory=dict)
    images_per_call: int = IMAGES_PER_CALL

    def __call__(
        self, images: Num[np.ndarray, "images height width channels"], levels: int
    ) -> Float32[np.ndarray, "images features"]:
        """Features of levels 0 to `levels`."""
        parts = []
        for first in range(0, len(images), self.images_per_call):
            # Always a full call, so that one shape is compiled.
            rows = np.minimum(np.arange(first, first + self.images_per_call), len(images) - 1)
            with jax.default_matmul_precision("highest"):  # accelerators would round the factors
                found = self.extract(images[rows].astype(np.float32) / np.float32(levels))
            parts.append(np.asarray(found, np.float32)[: len(images) - first])
        return np.concatenate(parts)


def _pixels(dataset: Dataset, directory: Path) -> FeatureSpace:
    """The levels themselves."""
    del dataset, directory
    return FeatureSpace(lambda images: images.reshape(len(images), -1))


def _random(dataset: Dataset, directory: Path) -> FeatureSpace:
    del dataset, directory
    return FeatureSpace(jax.jit(random_features))


def _classifier(dataset: Dataset, directory: Path) -> FeatureSpace:
    """Features of a classifier's layer before the last; trained when the data has been measured by it never before."""
    classifier = cached_classifier(dataset, directory)
    network = ClassifierNetwork(dataset.classes)
    extract = jax.jit(lambda images: network.apply(classifier.params, images).features)  # type: ignore[union-attr]
    return FeatureSpace(extract, {"classifier_accuracy": classifier.accuracy})


CLASSIFIER = "classifier"
REGISTRY: dict[str, Callable[[Dataset, Path], FeatureSpace]] = {
    "pixels": _pixels,
    "random": _random,
    CLASSIFIER: _classifier,
}
