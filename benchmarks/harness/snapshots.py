"""The models on which gradients are measured, and the data they are measured on.

One linear layer on MNIST, binarized once or dynamically, after the RELAX protocol: batch 24, beta2 = .99999, a learned
prior of plain masks. `deep_ctc` has two hidden layers besides.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from benchmarks.harness.trainer import Trainer
from configs import mnist_bernoulli_latents, mnist_masks
from ctc_jax import training
from ctc_jax.data import Batch, Split

LATENTS = {
    "bernoulli": {"model.mask_vae.latent": "bernoulli", "model.latents": 200},
    "categorical": {"model.mask_vae.latent": "categorical", "model.latents": 20, "model.mask_vae.categories": 10},
    "ctc": {
        "model.mask_vae.latent": "ctc",
        "model.latents": 20,
        "model.mask_vae.categories": 10,
        "model.mask_vae.prior": "fixed",
    },
    "deep_ctc": {
        "model.mask_vae.latent": "ctc",
        "model.latents": 20,
        "model.mask_vae.categories": 10,
        "model.mask_vae.prior": "fixed",
        **mnist_masks.NONLINEAR,
    },
    "small_bernoulli": {"model.mask_vae.latent": "bernoulli", "model.latents": 6},
    "small_categorical": {"model.mask_vae.latent": "categorical", "model.latents": 3, "model.mask_vae.categories": 4},
    "small_ctc": {
        "model.mask_vae.latent": "ctc",
        "model.latents": 3,
        "model.mask_vae.categories": 4,
        "model.mask_vae.prior": "fixed",
    },
}
WORDS = {
    "bernoulli": "200 gates",
    "categorical": "20 masks of 10",
    "ctc": "20 masks of 10, times Gaussian values",
    "deep_ctc": "20 masks of 10, times Gaussian values, two hidden layers of 200 on each side",
    "small_bernoulli": "6 gates",
    "small_categorical": "3 masks of 4",
    "small_ctc": "3 masks of 4, times Gaussian values",
}
BINARIZATION = {"static_mnist": "static", "mnist": "dynamic"}
FROZEN_BATCH = 10**6  # a step that no run here reaches
COLORS = ("#0b5fa5", "#b5451b", "#3f8f4f")


def configuration(latent: str, learning_rate: float, changes: Mapping[str, Any] | None = None):
    """The config of a run.

    Args:
      latent: one of `LATENTS`.
      learning_rate: constant.
      changes: of further keys; `data.name` brings its binarization with it.
    """
    config = mnist_bernoulli_latents.get_config("static")
    config.update_from_flattened_dict({**LATENTS[latent], "train.learning_rate": learning_rate, **(changes or {})})
    config.data.binarization = "dynamic" if BINARIZATION[config.data.name] == "dynamic" else "none"
    return config


def batch_of(experiment: training.Experiment, step: int) -> Batch:
    """A step's batch on the host: with a sharding it would make that of every result, and compile once more for it."""
    return jax.tree.map(lambda leaf: np.asarray(leaf[0]), experiment.stream(step, 1))


def frozen_batch(experiment: training.Experiment) -> Batch:
    """Training images that the run does not see at that time."""
    return batch_of(experiment, FROZEN_BATCH)


def parameters(trainer: Trainer):
    """The model's as they are now, on the host for the same reason."""
    return jax.tree.map(np.asarray, trainer.state.params)


def first_images(split: Split, count: int) -> Split:
    """The first images of a split."""
    return Split(split.images[:count], split.labels[:count])
