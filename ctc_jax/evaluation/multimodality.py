"""Samples and mean of one latent's pixel distribution compared. Tests: tests/evaluation/test_multimodality.py."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ctc_jax.evaluation.sharpness import laplacian_variance
from ctc_jax.models import Model, Params

LATENTS_PER_CALL = 32


class Likely(NamedTuple):
    """Samples and mean of p(x|z) at several z from the prior.

    Attributes:
      samples: levels, [latents, samples, height, width, channels].
      mean: levels, [latents, height, width, channels].
      gap_nats: E[log p(x|z)] over samples of p(x|z), minus log p(mean image|z), [latents].
    """

    samples: Int[np.ndarray, "latents samples height width channels"]
    mean: Float[np.ndarray, "latents height width channels"]
    gap_nats: Float[np.ndarray, " latents"]


def draw_likely(model: Model, params: Params, *, latents: int, samples: int, seed: int) -> Likely:
    """Draws `latents` from the prior, and `samples` images from each one's distribution on pixels."""
    key, parts = jax.random.key(seed), []
    for first in range(0, latents, LATENTS_PER_CALL):
        # Always a full call, so that one shape is compiled; what is too much is cut off below.
        parts.append(_likely(model, params, jax.random.fold_in(key, first), LATENTS_PER_CALL, samples))
    return Likely(*(np.concatenate(leaves)[:latents] for leaves in zip(*jax.device_get(parts), strict=True)))


def sample_statistics(likely: Likely, levels: int) -> dict[str, float]:
    """The multimodality gap per dimension, and the sharpness of samples and of means.

    A positive gap says that the mean image is less likely than the samples are: what a unimodal likelihood cannot
    say of sharp alternatives. The mean is rounded to whole levels before it is scored.
    """
    dimensions = math.prod(likely.mean.shape[1:])
    samples = likely.samples.reshape(-1, *likely.mean.shape[1:])
    return {
        "multimodality_gap_nats_per_dimension": float(likely.gap_nats.mean() / dimensions),
        "sharpness/samples": float(laplacian_variance(samples, levels).mean()),
        "sharpness/means": float(laplacian_variance(likely.mean, levels).mean()),
    }


@partial(jax.jit, static_argnums=(0, 3, 4))
def _likely(
    model: Model, params: Params, key: Key[Array, ""], latents: int, samples: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    key_latents, key_pixels = jax.random.split(key)
    _, pixels = model.generate(params, key_latents, latents)
    images = pixels.sample(key_pixels, (samples,))
    mean = pixels.mean
    of_samples = jax.vmap(pixels.log_prob)(images)
    of_mean = pixels.log_prob(jnp.round(mean).astype(jnp.int32))
    return jnp.swapaxes(images, 0, 1).astype(jnp.int32), mean, of_samples.mean(axis=0) - of_mean
