"""Latents of images, improved or sampled by chains. Tests: tests/inference/test_infer.py."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.errors import UserError
from ctc_jax.inference.method import AbstractMethod, LogJoint, Moved, Position, State, keys_of
from ctc_jax.inference.registry import InferenceOptions
from ctc_jax.inference.served import check_served
from ctc_jax.models import Model, Params


class Inferred(NamedTuple):
    """What chains found, and how they went.

    Attributes:
      latents: by name, `[draws, chains, images, ...]`.
      log_joint: log p(x, z) of them, nats; no bound on log p(x).
      start: log p(x, z) where each chain began, at the recognition model, nats.
      acceptance: mean probability with which moves were accepted.
    """

    latents: dict[str, Float[np.ndarray, "draws chains images *units"]]
    log_joint: Float[np.ndarray, "draws chains images"]
    start: Float[np.ndarray, "chains images"]
    acceptance: Float[np.ndarray, "chains images"]

    @property
    def gain(self) -> Float[np.ndarray, "chains images"]:
        """log p(x, z) at the end less that at the start, nats."""
        return self.log_joint[-1] - self.start

    def potential_scale_reduction(self) -> dict[str, Float[np.ndarray, "images *units"]]:
        """R-hat of each number (Gelman and Rubin 1992), from two chains on: near 1 where they agree."""
        from blackjax.diagnostics import potential_scale_reduction  # late, as in chains.py

        return {name: _by_number(potential_scale_reduction, of) for name, of in self.latents.items()}

    def effective_samples(self) -> dict[str, Float[np.ndarray, "images *units"]]:
        """How many independent draws all chains are worth, for each number of each latent."""
        from blackjax.diagnostics import effective_sample_size  # late, as in chains.py

        return {name: _by_number(effective_sample_size, of) for name, of in self.latents.items()}


def infer(
    model: Model, params: Params, key: Key[Array, ""], batch: Batch, method: AbstractMethod, options: InferenceOptions
) -> Inferred:
    """Moves latents of each image from the recognition model's, every image and chain on its own.

    Args:
      model: any whose latents have no masks.
      params: its parameters.
      key: of starts and moves.
      batch: images.
      method: descent, which starts at the posterior's center, or a chain, which starts at a draw.
      options: how many chains and moves.

    Raises:
      UserError: the model has masks or nothing to move, or chains diverged.
    """
    check_served(model, params)
    key_start, key_moves = jax.random.split(key)
    chains = options.chains if method.samples else 1
    starts = jax.random.split(key_start, chains) if method.samples else None
    state = _start(model, method, params, starts, batch)
    first, kept, accepted = np.asarray(state.log_joint), [], []
    _check(np.isfinite(first), method, 0)
    total = options.warmup + options.draws
    # A loop of the host: a convolution within a compiled one is slow on CPUs, and what is kept stays small.
    for index in range(total):
        moved = _move(model, method, params, jax.random.fold_in(key_moves, index), state, batch)
        state = moved.state
        if index >= options.warmup:
            kept.append(jax.device_get((state.position, state.log_joint)))
            accepted.append(moved.accepted)
        if index % 20 == 19 or index == total - 1:
            _check(np.asarray(moved.finite), method, index + 1)
    positions, log_joint = jax.tree.map(lambda *of: np.stack(of), *kept)
    return Inferred(positions, log_joint, first, np.asarray(jnp.mean(jnp.stack(accepted), axis=0)))


def _by_number(statistic: Callable, draws: np.ndarray) -> np.ndarray:
    # blackjax drops every dimension of size 1.
    return np.asarray(statistic(draws, chain_axis=1, sample_axis=0)).reshape(draws.shape[2:])


def _check(finite: np.ndarray, method: AbstractMethod, move: int) -> None:
    if not finite.all():
        bad = np.flatnonzero(~finite.all(axis=0))
        raise UserError(
            f"{type(method).__name__.lower()} diverged: log p(x, z) of image {bad[0]} is not finite after {move} moves "
            f"with step_size {method.step_size}; allowed: smaller, for example {method.step_size / 4:g}"
        )


def _log_joint(model: Model, params: Params, image: Array, label: Array) -> LogJoint:
    """log p(x, z) of one image as a function of its latents."""
    single = Batch(image[None], label[None])

    def of(position: Position) -> Float[Array, ""]:
        latents = {name: Masked(value[None]) for name, value in position.items()}
        return model.joint(params, single, latents).total[0]

    return of


@partial(jax.jit, static_argnums=(0, 1))
def _start(model: Model, method: AbstractMethod, params: Params, keys: Array | None, batch: Batch) -> State:
    def one(key, image, label):
        latents = model.infer(params, key, Batch(image[None], label[None])).latents
        position = {name: latent.value[0] for name, latent in latents.items()}
        return method.init(position, _log_joint(model, params, image, label))

    if keys is None:
        return jax.tree.map(lambda leaf: leaf[None], jax.vmap(partial(one, None))(batch.image, batch.label))

    def chain(key):
        # An image's key is its own, whatever the batch.
        keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(len(batch.image)))
        return jax.vmap(one)(keys, batch.image, batch.label)

    return jax.vmap(chain)(keys)


@partial(jax.jit, static_argnums=(0, 1))
def _move(
    model: Model, method: AbstractMethod, params: Params, key: Key[Array, ""], state: State, batch: Batch
) -> Moved:
    chains, images = state.log_joint.shape
    keys = keys_of(key, chains, images)

    def one(key, state, image, label):
        return method.move(key, state, _log_joint(model, params, image, label))

    over_images = jax.vmap(one)
    state, accepted = jax.vmap(over_images, in_axes=(0, 0, None, None))(keys, state, batch.image, batch.label)
    return Moved(state, accepted, jnp.isfinite(state.log_joint))
