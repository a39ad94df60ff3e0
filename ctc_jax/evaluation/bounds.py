"""Bounds on the log-likelihood of a whole split, each image exactly once. Tests: tests/evaluation/test_bounds.py."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key

from ctc_jax import process
from ctc_jax.data import Batch, Split, evaluation_batches, place
from ctc_jax.models import Bound, Model, Params
from ctc_jax.objectives import log_weights

# Decoder evaluations in one device call: enough to fill the device, few enough for its memory; and latents of one image
# among them, for which the recognition network runs once.
IMAGES_PER_CALL, SAMPLES_PER_CALL = 1000, 100


def bits_per_dimension(nats: float, image_shape: tuple[int, ...]) -> float:
    """Minus `nats` per image, in bits per dimension: -nats / (D ln 2)."""
    return -nats / (math.prod(image_shape) * math.log(2.0))


def evaluate_elbo(
    model: Model, params: Params, split: Split, *, batch_size: int, seed: int, sharding: NamedSharding | None = None
) -> dict[str, float]:
    """The ELBO with one sample an image, and the KL of each layer, averaged over the split.

    Each image draws from its own key, so the figures depend neither on `batch_size` nor on the devices, to rounding.
    Masks among the latents are sampled ones, whatever estimator the model trained with: relaxed masks give no bound.

    Args:
      model: any model.
      params: its parameters.
      split: integer images.
      batch_size: images a device call; rounded up to a multiple of the devices.
      seed: of the latents' samples.
      sharding: any sharding of the mesh to use; None is the default device.

    Returns:
      `elbo_nats`, `bound_bpd`, `log_likelihood_nats` and `kl_nats/<layer>`, per image.

    Raises:
      ValueError: `batch_size` is below 1.
    """
    totals: dict[str, float] = {}
    for batch, index, weight in _batches(split, batch_size, sharding):
        bound = _one_sample(model, params, jax.random.key(seed), batch, index)
        sums = {"log_likelihood_nats": bound.log_likelihood, **{f"kl_nats/{k}": v for k, v in bound.kl.items()}}
        for name, values in sums.items():
            totals[name] = totals.get(name, 0.0) + float(process.whole(values).astype(np.float64) @ weight)
    means = {name: total / len(split) for name, total in totals.items()}
    elbo = means["log_likelihood_nats"] - sum(value for name, value in means.items() if name.startswith("kl_nats/"))
    return {"elbo_nats": elbo, "bound_bpd": bits_per_dimension(elbo, split.images.shape[1:]), **means}


def evaluate_importance(
    model: Model,
    params: Params,
    split: Split,
    *,
    samples: int,
    batch_size: int,
    seed: int,
    sharding: NamedSharding | None = None,
) -> Float[np.ndarray, " images"]:
    """The importance-weighted bound of each image of a split, nats; its memory does not grow with `samples`.

    Args:
      model: any model.
      params: its parameters.
      split: integer images.
      samples: K, the latents drawn for each image.
      batch_size: images a device call at most, and fewer where `samples` are many; rounded up to a multiple of the
        devices.
      seed: of the latents' samples: sample k of image i uses the key folded with i, then k.
      sharding: any sharding of the mesh to use; None is the default device.

    Raises:
      ValueError: `samples` or `batch_size` is below 1.
    """
    if samples < 1:
        raise ValueError(f"samples is {samples}; allowed: 1 or more")
    _check_batch_size(batch_size)
    calls = -(-samples // SAMPLES_PER_CALL)
    chunk = -(-samples // calls)
    batch_size = min(batch_size, max(1, IMAGES_PER_CALL // chunk))
    bounds = []
    for batch, index, weight in _batches(split, batch_size, sharding):
        sums = _Sums.none(index)
        # A Python loop, not a scan: XLA's CPU backend runs convolutions slowly inside one.
        for first in range(0, samples, chunk):
            sums = _add(
                model, chunk, params, jax.random.key(seed), batch, index, jnp.int32(first), jnp.int32(samples), sums
            )
        bounds.append(sums.log_mean(samples)[weight > 0])
    return np.concatenate(bounds)


class _Sums(NamedTuple):
    """Sums of weights as exp(largest) total: none overflows, and rounding does not grow with their logarithms."""

    largest: Float[Array, " batch"]
    total: Float[Array, " batch"]

    @classmethod
    def none(cls, index: Int[Array, " batch"]) -> "_Sums":
        """Of no weights, where the indices are."""
        zero = (0 * index).astype(jnp.float32)
        return cls(zero + jnp.finfo(jnp.float32).min, zero)

    def plus(self, log_weights: Float[Array, "batch samples"]) -> "_Sums":
        """With more of them."""
        largest = jnp.maximum(self.largest, jnp.max(log_weights, axis=1))
        added = jnp.sum(jnp.exp(log_weights - largest[:, None]), axis=1)
        return _Sums(largest, self.total * jnp.exp(self.largest - largest) + added)

    def log_mean(self, count: int) -> Float[np.ndarray, " batch"]:
        """The logarithm of their mean."""
        with np.errstate(divide="ignore"):
            largest, total = (process.whole(part).astype(np.float64) for part in self)
            return largest + np.log(total) - np.log(count)


@partial(jax.jit, static_argnums=0)
def _one_sample(model: Model, params: Params, key: Key[Array, ""], batch: Batch, index: Int[Array, " batch"]) -> Bound:
    def of_image(position: Int[Array, ""], one: Batch) -> Bound:
        single = jax.tree.map(lambda leaf: leaf[None], one)
        trace = model.infer(params, jax.random.fold_in(key, position), single)
        return jax.tree.map(lambda leaf: jnp.squeeze(leaf, 0), trace.bound)

    return jax.vmap(of_image)(index, batch)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=8)
def _add(
    model: Model,
    chunk: int,
    params: Params,
    key: Key[Array, ""],
    batch: Batch,
    index: Int[Array, " batch"],
    first: Int[Array, ""],
    samples: Int[Array, ""],
    sums: _Sums,
) -> _Sums:
    """The weights of `chunk` samples from `first` on, or as many as there are, added."""
    numbers = first + jnp.arange(chunk)

    def of(position: Int[Array, ""], sample: Int[Array, ""]) -> Key[Array, ""]:
        return jax.random.fold_in(jax.random.fold_in(key, position), sample)

    keys = jax.vmap(lambda position: jax.vmap(partial(of, position))(numbers))(index)
    weights = log_weights(model, params, keys, batch)
    return sums.plus(jnp.where(numbers[None] < samples, weights, -jnp.inf))


def _batches(split: Split, batch_size: int, sharding: NamedSharding | None):
    """Batches on the device with the index of each image in the split, and the 0/1 weights (0 is padding)."""
    _check_batch_size(batch_size)
    if sharding is not None:
        devices = sharding.mesh.size
        batch_size = -(-batch_size // devices) * devices
        sharding = NamedSharding(sharding.mesh, PartitionSpec("data"))
    for batch, weight, first in evaluation_batches(split, batch_size):
        index = np.arange(first, first + batch_size, dtype=np.int32)
        if sharding is None:
            yield *jax.device_put((batch, index)), weight
        else:
            yield *jax.tree.map(lambda array: place(array, sharding), (batch, index)), weight


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; allowed: 1 or more")
