"""A small convolutional classifier of a dataset's labels, whose last layer gives features. Tests: test_classifier.py.

Not comparable with Inception features or scores.
"""

import math
from functools import cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from ctc_jax.data import Dataset, evaluation_batches
from ctc_jax.data.stream import indices
from ctc_jax.layers import ResidualBlock, space_to_depth

SEED = 7_001
WIDTHS = (32, 64)  # channels at half and at quarter resolution; the last is the number of features
KERNELS = (3, 1)  # of the convolutions that read the rearranged pixels
BATCH_SIZE = 64
STEPS = 2_400
LEARNING_RATE = 2e-3
LABEL_BATCH = 500  # images a device call when labels are counted


class Read(NamedTuple):
    """What the network makes of images: the features of the layer before the last, and the labels' logits."""

    features: Float[Array, "batch features"]
    logits: Float[Array, "batch classes"]


class ClassifierNetwork(nn.Module):
    """Space to depth and a 3 x 3 residual block, twice; the mean over positions; one dense layer.

    Attributes:
      classes: number of labels.
    """

    classes: int

    @nn.compact
    def __call__(self, images: Float[Array, "batch height width channels"]) -> Read:
        """Features and logits of images of levels rescaled to [0, 1], of any size."""
        hidden = 2.0 * _divisible(images, 4) - 1.0
        for width, kernel in zip(WIDTHS, KERNELS, strict=True):
            hidden = nn.Conv(width, (kernel, kernel))(space_to_depth(hidden))
            hidden = ResidualBlock(nn.relu, residual_scale=1 / math.sqrt(len(WIDTHS)))(hidden)
        features = jnp.mean(nn.relu(hidden), axis=(1, 2))
        return Read(features, nn.Dense(self.classes)(features))


class Classifier(NamedTuple):
    """A trained network.

    Attributes:
      params: of `ClassifierNetwork`.
      accuracy: share of test images whose label it finds.
    """

    params: Any
    accuracy: float


def train_classifier(dataset: Dataset, *, steps: int = STEPS) -> Classifier:
    """Trained on the training images with cross-entropy, then tried on all test images; a minute on two cores.

    Adam from a rate of 0.002 to 0 along a cosine, without augmentation. Nothing is random but fixed seeds.

    Args:
      dataset: with labels.
      steps: batches of 64.
    """
    network, levels, count = ClassifierNetwork(dataset.classes), 2**dataset.bits - 1, len(dataset.train)
    params = network.init(jax.random.key(SEED), jnp.zeros((1, *dataset.image_shape)))
    optimizer = _optimizer(steps)
    state, size = optimizer.init(params), min(BATCH_SIZE, count)
    for step in range(steps):
        (rows,) = indices(count, size, SEED, step, 1)
        images = dataset.train.draw(rows, np.random.default_rng((SEED, step)))
        labels = dataset.train.labels[rows]
        params, state = _update(network, optimizer, levels, params, state, images, labels)
    return Classifier(params, _accuracy(network, params, dataset, levels))


@cache  # one object, so that a second training is not compiled again
def _optimizer(steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))


@partial(jax.jit, static_argnums=(0, 1, 2))
def _update(network, optimizer, levels, params, state, images, labels: Int[Array | np.ndarray, " batch"]):
    def loss(params):
        logits = network.apply(params, images.astype(jnp.float32) / levels).logits
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))

    updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, updates), state


def _accuracy(network: ClassifierNetwork, params: Any, dataset: Dataset, levels: int) -> float:
    found = jax.jit(lambda images: jnp.argmax(network.apply(params, images.astype(jnp.float32) / levels).logits, -1))  # type: ignore[union-attr]
    right = sum(
        float(weight @ (np.asarray(found(batch.image)) == batch.label))
        for batch, weight, _ in evaluation_batches(dataset.test, LABEL_BATCH)
    )
    return right / len(dataset.test)


def _divisible(images: Array, by: int) -> Array:
    """The picture with black pixels at its lower and right edges until `by` divides its sides."""
    down, right = (-size % by for size in images.shape[1:3])
    return jnp.pad(images, ((0, 0), (0, down), (0, right), (0, 0)))
