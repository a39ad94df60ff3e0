"""Gradients of a model that stays as it is, drawn again and again. Tests: tests/benchmarks/gradients/test_frozen.py.

What is drawn is the gradient of the mean over a batch of E log p(x|z): the KL is analytic, the same for all estimators.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from benchmarks.gradients.statistics import Draws
from ctc_jax.data import Batch
from ctc_jax.gradients import AbstractEstimator, Nested
from ctc_jax.models import ChainModel
from ctc_jax.models.chain_model import LEARNED
from ctc_jax.training import moving_averages

# The encoder's layers.
ENCODER = ("down", "posterior")


def shifted(
    estimator: AbstractEstimator,
    logits: Float[Array, "batch ..."],
    values: Float[Array, "batch ..."],
    key: Key[Array, ""] | None = None,
) -> Nested:
    """An estimator at logits and values to which something is added, in which the gradient is then taken.

    Args:
      estimator: any.
      logits: of the shape of the mask logits.
      values: of the same shape.
      key: of the masks in place of the one given; None is the latter.
    """

    class Shifted(Nested):
        unbiased, kinds = estimator.unbiased, estimator.kinds

        def estimate(self, given_key, given_logits, reward, **given):
            moved = reward._replace(values=reward.values + values)
            return estimator(given_key if key is None else key, given_logits + logits, moved, **given)

    return Shifted()


def draw(
    model: ChainModel,
    estimator: AbstractEstimator,
    params: Any,
    key: Key[Array, ""],
    batch: Batch,
    values_key: Key[Array, ""] | None = None,
) -> dict[str, Float[Array, " components"]]:
    """One estimate of the gradient, flat: in each image's mask logits, in its values, and in the encoder's parameters.

    The gradient in the values, which a mask alone has not, is that in their locations. With a `values_key`, every draw
    has the same values' noise, so that all variance is the masks'.
    """
    (site,) = model.mask_sites
    shape = (len(batch.image), *site.shape)
    encoder = {name: value for name, value in params.items() if name.startswith(ENCODER)}

    def expected(logits, values, encoder):
        held = values_key is not None
        moved = dataclasses.replace(model, estimator=shifted(estimator, logits, values, key if held else None))
        bound = moved.bound({**params, **encoder}, values_key if held else key, batch)
        return jnp.mean(bound.log_likelihood)

    shift = jnp.zeros(shape)
    logits, values, in_encoder = jax.grad(expected, argnums=(0, 1, 2))(shift, shift, encoder)
    found = {"logits": logits.ravel(), "encoder": jax.flatten_util.ravel_pytree(in_encoder)[0]}
    return {**found, "values": values.ravel()} if site.valued else found


class Running(NamedTuple):
    """Statistics of the draws so far of one block, each a dictionary by part of the gradient."""

    count: Float[Array, ""]
    mean: dict[str, Array]
    scatter: dict[str, Array]
    cosines: dict[str, Array]


class Sampler:
    """Draws of one estimator, compiled once for all parameters.

    Args:
      model: with masks.
      estimator: bound to its options.
      draw: `(model, estimator, params, key, batch)` to one estimate, flat parts by name.
    """

    def __init__(self, model: ChainModel, estimator: AbstractEstimator, draw: Callable = draw):
        self.model, self.estimator, self.draw = model, estimator, draw
        self._zeros: dict[str, Array] | None = None
        self._step = jax.jit(self._accumulate, donate_argnums=0)

    def __call__(
        self,
        params: Any,
        batch: Batch,
        *,
        seed: int,
        blocks: int,
        size: int,
        reference: dict[str, Float[np.ndarray, " components"]] | None = None,
    ) -> dict[str, Draws]:
        """`blocks` times `size` draws, by part of the gradient.

        Args:
          params: of model and estimator.
          batch: the one batch.
          seed: of all keys.
          blocks: of which the means are kept.
          size: draws in a block.
          reference: the exact gradient of each part, for the cosines; they are 0 without.
        """
        key = jax.random.key(seed)
        if self._zeros is None:
            shapes = jax.eval_shape(lambda: self.draw(self.model, self.estimator, params, key, batch))
            self._zeros = jax.tree.map(lambda like: jnp.zeros(like.shape, like.dtype), shapes)
        zeros = self._zeros
        reference = jax.tree.map(jnp.float32, reference) if reference else zeros
        lengths = {name: jnp.linalg.norm(value) for name, value in reference.items()}
        found = []
        for block in range(blocks):
            scalars = {name: jnp.zeros(()) for name in zeros}
            running = jax.tree.map(jnp.copy, Running(jnp.zeros(()), zeros, scalars, scalars))
            for i in range(size):
                number = np.uint32(block * size + i)
                running = self._step(running, params, key, number, batch, reference, lengths)
            found.append(jax.device_get(running))
        return {
            name: Draws(
                np.stack([one.mean[name] for one in found]),
                sum(float(one.scatter[name]) for one in found),
                sum(float(one.cosines[name]) for one in found),
                blocks * size,
            )
            for name in zeros
        }

    def _accumulate(self, running: Running, params, key, number, batch, reference, lengths) -> Running:
        drawn = self.draw(self.model, self.estimator, params, jax.random.fold_in(key, number), batch)
        count = running.count + 1.0
        mean, scatter, cosines = {}, {}, {}
        for name, value in drawn.items():
            before = value - running.mean[name]
            mean[name] = running.mean[name] + before / count
            scatter[name] = running.scatter[name] + before @ (value - mean[name])
            scale = jnp.linalg.norm(value) * lengths[name]
            # A gradient of length 0 has no direction.
            cosine = jnp.where(scale > 0, value @ reference[name] / jnp.where(scale > 0, scale, 1.0), 0.0)
            cosines[name] = running.cosines[name] + cosine
        return Running(count, mean, scatter, cosines)


def whole_gradient(model: ChainModel, estimator: AbstractEstimator) -> Callable[[Any, Key[Array, ""], Batch], Any]:
    """`(params, key, batch)` to the gradient in all parameters, as a step of training takes it; compiled."""
    ready = dataclasses.replace(model, estimator=estimator)

    def surrogate(params, key, batch):
        return jnp.mean(ready.bound(params, key, batch).log_likelihood)

    return jax.jit(jax.grad(surrogate))


class Learner:
    """Trains what an estimator learns while the model stays as it is; compiled once for all parameters.

    Args:
      model: with masks.
      estimator: bound to its options.
      learning_rate: Adam's; moving averages take their own steps.
    """

    def __init__(self, model: ChainModel, estimator: AbstractEstimator, learning_rate: float = 1e-3):
        self.model, self.estimator = model, estimator
        self.optimizer = moving_averages.apart(optax.adam(learning_rate))
        self._step = jax.jit(self._one)

    def __call__(self, params: Any, batches: Callable[[int], Batch], *, steps: int, seed: int = 0) -> Any:
        """The parameters with those learned.

        Args:
          params: of the model.
          batches: step to a batch of training images.
          steps: of training.
          seed: of the start and of the masks.
        """
        height, width, channels = self.model.image_shape
        key, (site,) = jax.random.key(seed), self.model.mask_sites
        learned = self.estimator.init(jax.random.fold_in(key, 0), site.shape, height * width * channels)
        if not learned:
            return params
        learned = {site.name: learned}
        state = self.optimizer.init(learned)
        for number in range(steps):
            learned, state = self._step(learned, state, params, key, np.uint32(number), batches(number))
        return {**params, LEARNED: learned}

    def _one(self, learned, state, params, key, number, batch):
        ready = dataclasses.replace(self.model, estimator=self.estimator)

        def loss(learned):
            step_key = jax.random.fold_in(key, number + 1)
            return -jnp.mean(ready.bound({**params, LEARNED: learned}, step_key, batch).log_likelihood)

        updates, state = self.optimizer.update(jax.grad(loss)(learned), state, learned)
        return optax.apply_updates(learned, updates), state
