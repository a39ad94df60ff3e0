"""What a notebook hands to a run, checked in words. Floor 8, below run.py. Tests: tests/test_arguments.py."""

import math
import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax import data
from ctc_jax.data import Batch
from ctc_jax.errors import UserError, nearest
from ctc_jax.models import ImageSpace, Latents, Masked, Model, Params


def count(name: str, value: Any) -> int:
    """A whole number of 1 or more.

    Raises:
      UserError: it is not.
    """
    try:
        number = 0 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise UserError(f"{name} is {value!r}; allowed: a whole number, 1 or more")
    return number


def random_key(key: Any) -> jax.Array:
    """A single random key.

    Raises:
      UserError: it is not.
    """
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()):
        raise UserError(f"key is {_words(key)}; allowed: one random key, such as jax.random.key(0)")
    return key


def batch(space: ImageSpace, images: Any, labels: Any = None) -> Batch:
    """Images of integer levels [batch, height, width, channels] with their labels [batch], on the device.

    Args:
      space: of the run.
      images: at least one.
      labels: None stands for class 0.

    Raises:
      UserError: they do not fit the run's.
    """
    images, levels = _array("images", images), 2**space.bits - 1
    if images.ndim != 4 or images.shape[1:] != space.shape or not np.issubdtype(images.dtype, np.integer):
        height, width, channels = space.shape
        wanted = f"integers of shape (batch, {height}, {width}, {channels})"
        raise UserError(f"images are {images.dtype} of shape {images.shape}; this run takes {wanted}")
    if not len(images):
        raise UserError("there are no images")
    if images.min() < 0 or images.max() > levels:
        raise UserError(f"images hold levels {images.min()} to {images.max()}; this run takes 0 to {levels}")
    try:
        labels = np.zeros(len(images), np.int32) if labels is None else labels
        labels = data.checked_labels(labels, len(images), space.classes)
    except ValueError as error:
        raise UserError(str(error)) from None
    return Batch(jnp.asarray(images.astype(np.uint8)), jnp.asarray(labels))


def latents(model: Model, params: Params, given: Any) -> Latents:
    """Every latent of the model by name, with as many rows each.

    Raises:
      UserError: a name is unknown or missing, or an array is of another shape, holds NaN or an infinity, or is empty.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    expected = jax.eval_shape(lambda params, key: model.generate(params, key, 1)[0], params, key)
    if not isinstance(given, Mapping):
        raise UserError(f"latents are {_words(given)}; allowed: a dictionary of {', '.join(expected)}")
    for name in given:
        if name not in expected:
            raise UserError(f"no latent {name!r}; the model has {', '.join(expected)}{nearest(str(name), expected)}")
    missing = [name for name in expected if name not in given]
    if missing:
        raise UserError(f"latents lack {', '.join(missing)}")
    checked = {name: _latent(name, given[name], expected[name]) for name in expected}
    rows = {name: len(jax.tree.leaves(value)[0]) for name, value in checked.items()}
    if len(set(rows.values())) > 1:
        raise UserError(f"latents have differing numbers of rows: {', '.join(f'{k} {n}' for k, n in rows.items())}")
    return checked


def _latent(name: str, given: Any, expected: Masked) -> Masked:
    if not isinstance(given, Masked):
        # The product of mask and value, which is all that a decoder is given.
        product, wanted = _array(f"latent {name}", given), expected.value.shape[1:]
        flat = len(wanted) > 1 and product.ndim == 2 and product.shape[1] == math.prod(wanted)
        given, expected = Masked(product.reshape(-1, *wanted) if flat else product), Masked(expected.value)
    if (given.mask is None) != (expected.mask is None):
        raise UserError(f"latent {name} has {'no ' * (given.mask is None)}masks; the model's differs in that")

    def checked(found: Any, wanted: jax.ShapeDtypeStruct) -> jax.Array:
        array = _array(f"latent {name}", found)
        if array.shape[1:] != wanted.shape[1:] or array.ndim != len(wanted.shape) or array.dtype.kind not in "iufb":
            shape = ", ".join(["batch", *map(str, wanted.shape[1:])])
            raise UserError(f"latent {name} is {array.dtype} of shape {array.shape}; allowed: numbers of ({shape})")
        if not len(array):
            raise UserError(f"latent {name} has no rows")
        if not np.isfinite(array.astype(np.float64)).all():
            raise UserError(f"latent {name} holds numbers that are not finite")
        return jnp.asarray(array, wanted.dtype)

    return jax.tree.map(checked, given, expected)


def _array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} are no array: {' '.join(str(error).split())}") from None


def _words(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} of shape {shape}" if shape is not None else repr(value)[:80]
