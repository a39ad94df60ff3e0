"""What a run's files say of its images and its model. Floor 8, below run.py. Tests: tests/test_saved_run.py."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections

from ctc_jax import runs, training
from ctc_jax.data import Dataset
from ctc_jax.errors import UserError
from ctc_jax.models import ImageSpace, Model
from ctc_jax.training.step import TrainState

LOGGER = logging.getLogger(__name__)
MAXIMUM_SIDE = 2**16


def describe_images(space: ImageSpace, dataset: Dataset) -> dict[str, Any]:
    """What a run remembers of its images, in images.json."""
    return {**space._asdict(), "fingerprint": dataset.fingerprint}


def read_images(workdir: Path) -> tuple[ImageSpace, str]:
    """What the run in `workdir` remembers of its images, and the fingerprint of its data.

    Raises:
      UserError: images.json cannot be read.
    """
    path = workdir / "images.json"
    images = runs.read_json(path)
    if not _describes_images(images):
        raise UserError(
            f"{path} does not say of the run's images what it must: it was changed, or is of another version"
        )
    space = ImageSpace(tuple(images["shape"]), images["bits"], images["classes"], tuple(images["mean"]))
    return space, images["fingerprint"]


def _describes_images(images: Mapping[str, Any]) -> bool:
    if images.keys() != {"shape", "bits", "classes", "mean", "fingerprint"}:
        return False
    shape, bits, classes, mean = (images[name] for name in ("shape", "bits", "classes", "mean"))
    return (
        isinstance(shape, list)
        and [type(size) for size in shape] == [int, int, int]
        and all(0 < size <= MAXIMUM_SIDE for size in shape)
        and type(bits) is int
        and 1 <= bits <= 8
        and type(classes) is int
        and classes >= 0
        and isinstance(mean, list)
        and len(mean) in (0, math.prod(shape))
        and all(isinstance(level, (int, float)) and 0 <= level <= 1 for level in mean)
        and isinstance(images["fingerprint"], str)
    )


def check_data(space: ImageSpace, fingerprint: str, dataset: Dataset) -> None:
    """Warns where a dataset is not the one of that fingerprint.

    Raises:
      UserError: its images are of another shape or other bits, or have more classes.
    """
    found = f"images of shape {dataset.image_shape}, {dataset.bits} bits and {dataset.classes} classes"
    if (dataset.image_shape, dataset.bits) != (space.shape, space.bits) or dataset.classes > space.classes:
        had = f"shape {space.shape}, {space.bits} bits and {space.classes} classes"
        raise UserError(f"the data are no longer those of the run, which had {had}: {dataset.origin} holds {found}")
    if dataset.fingerprint != fingerprint:
        LOGGER.warning("the data in %s are not those that the run was trained on", dataset.origin)


def build_saved(
    workdir: Path, saved: Mapping[str, Any], space: ImageSpace
) -> tuple[ml_collections.ConfigDict, Model, TrainState]:
    """The config saved in `workdir`, its model on such images, and the shapes of its training state.

    Raises:
      UserError: it is not the config of a run.
    """
    try:
        config = ml_collections.ConfigDict(saved)
        model = training.build_model(config, space)
        return config, model, jax.eval_shape(training.build_step(config, model, images=1).init)
    # A section that is absent or no section, or a value that no part checks: its file was changed by hand.
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{workdir}/config.json is not the config of a run: {reason}") from error
