"""Importance-weighted bound (Burda et al. 2016). Tests: tests/objectives/test_importance.py."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch
from ctc_jax.models import Model, Params


def log_weights(
    model: Model, params: Params, keys: Key[Array, "batch samples"], batch: Batch
) -> Float[Array, "batch samples"]:
    """log p(x, z) - log q(z|x) in nats at z ~ q(z|x), one for each key.

    Each image has its own keys, so a value depends neither on the batch it is in nor on the devices. What the
    recognition network computes from the image alone is computed once for all samples.

    Args:
      model: any model of the three questions.
      params: its parameters.
      keys: one for each image and sample.
      batch: images and labels.
    """

    def of_image(keys: Key[Array, " samples"], one: Batch) -> Float[Array, " samples"]:
        single = jax.tree.map(lambda leaf: leaf[None], one)

        def of_sample(key: Key[Array, ""]) -> Float[Array, ""]:
            latents, log_q = model.recognize(params, key, single)
            return jnp.squeeze(model.log_joint(params, single, latents) - log_q, 0)

        return jax.vmap(of_sample)(keys)

    return jax.vmap(of_image)(keys, batch)


def importance_weighted_bound(log_weights: Float[Array, "*batch samples"]) -> Float[Array, "*batch"]:
    """log of the mean weight: log mean_k p(x, z_k) / q(z_k | x), nats per image."""
    return jax.nn.logsumexp(log_weights, axis=-1) - jnp.log(log_weights.shape[-1])
