"""The models on which gradients are measured, and the data they are measured on.

One linear layer on static MNIST after the RELAX protocol: batch 24, beta2 = .99999, learned priors of plain masks.
"""

from collections.abc import Mapping
from typing import Any

import jax
from machine import ROOT  # noqa: F401, makes the repository importable

from configs import mnist_bernoulli_latents
from ctc_jax import training
from ctc_jax.data import Batch, Split

LATENTS = {
    "bernoulli": {"model.latent": "bernoulli", "model.latents": 200},
    "categorical": {"model.latent": "categorical", "model.latents": 20, "model.categories": 10},
    "ctc": {"model.latent": "ctc", "model.latents": 20, "model.categories": 10, "model.prior": "fixed"},
    "small_bernoulli": {"model.latent": "bernoulli", "model.latents": 6},
    "small_categorical": {"model.latent": "categorical", "model.latents": 3, "model.categories": 4},
    "small_ctc": {"model.latent": "ctc", "model.latents": 3, "model.categories": 4, "model.prior": "fixed"},
}
WORDS = {
    "bernoulli": "200 gates",
    "categorical": "20 masks of 10",
    "ctc": "20 masks of 10, times Gaussian values",
    "small_bernoulli": "6 gates",
    "small_categorical": "3 masks of 4",
    "small_ctc": "3 masks of 4, times Gaussian values",
}
FROZEN_BATCH = 10**6  # a step that no run here reaches
COLORS = ("#0b5fa5", "#b5451b", "#3f8f4f")


def configuration(latent: str, learning_rate: float, changes: Mapping[str, Any] | None = None):
    """The config of a run with `latent`."""
    config = mnist_bernoulli_latents.get_config("static")
    config.update_from_flattened_dict({**LATENTS[latent], "train.learning_rate": learning_rate, **(changes or {})})
    return config


def frozen_batch(experiment: training.Experiment) -> Batch:
    """Training images that the run does not see at that time."""
    return jax.tree.map(lambda leaf: leaf[0], experiment.stream(FROZEN_BATCH, 1))


def first_images(split: Split, count: int) -> Split:
    """The first images of a split."""
    return Split(split.images[:count], split.labels[:count])
