"""Where pixels come from, and batches as a function of the step."""

from ctc_jax.data.batch import Batch
from ctc_jax.data.batches import BatchStream, evaluation_batches
from ctc_jax.data.build import REGISTRY, build
from ctc_jax.data.dataset import Dataset, Split
from ctc_jax.data.shapes import ShapesDensity

__all__ = ["REGISTRY", "Batch", "BatchStream", "Dataset", "ShapesDensity", "Split", "build", "evaluation_batches"]
