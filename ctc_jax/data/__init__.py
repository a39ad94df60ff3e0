"""Where pixels come from, and batches as a function of the step."""

from ctc_jax.data.build import SECTION, WHERE, build, places, stand_in
from ctc_jax.data.dataset import Batch, Dataset, Split
from ctc_jax.data.evaluation_batches import evaluation_batches
from ctc_jax.data.labels import checked_labels
from ctc_jax.data.registry import REGISTRY
from ctc_jax.data.shapes import ShapesDensity
from ctc_jax.data.stream import BatchStream, place

__all__ = [
    "REGISTRY",
    "SECTION",
    "WHERE",
    "Batch",
    "BatchStream",
    "Dataset",
    "ShapesDensity",
    "Split",
    "build",
    "checked_labels",
    "evaluation_batches",
    "place",
    "places",
    "stand_in",
]
