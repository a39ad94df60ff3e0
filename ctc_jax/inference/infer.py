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
from ctc_jax.inference.gibbs import sweep, visits
from ctc_jax.inference.method import AbstractMethod, LogJoint, Position, State, keys_of
from ctc_jax.inference.point import Point, joint_of, values, with_values
from ctc_jax.inference.registry import InferenceOptions
from ctc_jax.inference.served import check_served
from ctc_jax.models import Latents, Model, Params


class Inferred(NamedTuple):
    """What chains found, and how they went.

    Attributes:
      latents: by name, values and masks `[draws, chains, images, ...]`; a value counts where its mask selects it.
      log_joint: log p(x, z) of them, nats; no bound on log p(x).
      start: log p(x, z) where each chain began, at the recognition model, nats.
      acceptance: mean probability with which moves of values were accepted.
    """

    latents: Latents
    log_joint: Float[np.ndarray, "draws chains images"]
    start: Float[np.ndarray, "chains images"]
    acceptance: Float[np.ndarray, "chains images"]

    @property
    def gain(self) -> Float[np.ndarray, "chains images"]:
        """log p(x, z) at the end less that at the start, nats."""
        return self.log_joint[-1] - self.start

    def potential_scale_reduction(self) -> dict[str, Float[np.ndarray, "images *units"]]:
        """R-hat of each number m * s (Gelman and Rubin 1992), from two chains on: near 1 where they agree.

        NaN of a number that is the same in all draws, as one is that no mask selects.
        """
        from blackjax.diagnostics import potential_scale_reduction  # late, as in chains.py

        return {name: _by_number(potential_scale_reduction, of) for name, of in self.latents.items()}

    def effective_samples(self) -> dict[str, Float[np.ndarray, "images *units"]]:
        """How many independent draws all chains are worth, for each number m * s; NaN as above."""
        from blackjax.diagnostics import effective_sample_size  # late, as in chains.py

        return {name: _by_number(effective_sample_size, of) for name, of in self.latents.items()}


class _Walk(NamedTuple):
    """All chains between two moves.

    Attributes:
      point: latents, and where they have masks their joint density.
      state: what the method keeps.
    """

    point: Point
    state: State

    @property
    def log_joint(self) -> Float[Array, "chains images"]:
        """log p(x, z); the state has it itself where there are no masks."""
        return self.state.log_joint if self.point.joint is None else self.point.joint.total


def infer(
    model: Model, params: Params, key: Key[Array, ""], batch: Batch, method: AbstractMethod, options: InferenceOptions
) -> Inferred:
    """Moves latents of each image from the recognition model's, every image and chain on its own.

    Values move by the method with the masks held, then masks by a sweep over windows: a Gibbs sweep of a chain, of
    descent one that takes the best alternative. Chains move the values that no mask selects as well, which have the
    density of their prior; descent leaves them where they are, since log p(x, z) does not know them.

    Args:
      model: any with a latent that is not given with the image.
      params: its parameters.
      key: of starts and moves.
      batch: images.
      method: descent, which starts at the posterior's center and the likeliest masks, or a chain, which starts at a
        draw.
      options: how many chains and moves.

    Raises:
      UserError: there is nothing to move, or chains diverged.
    """
    check_served(model, params)
    key_start, key_moves = jax.random.split(key)
    chains = options.chains if method.samples else 1
    starts = jax.random.split(key_start, chains) if method.samples else None
    walk = _start(model, method, params, starts, batch)
    first, kept, accepted = np.asarray(walk.log_joint), [], []
    _check(first, method, 0)
    total = options.warmup + options.draws
    # A loop of the host: a convolution within a compiled one is slow on CPUs, and what is kept stays small.
    for index in range(total):
        key_move = jax.random.fold_in(key_moves, index)
        key_values, key_masks = jax.random.split(key_move)
        walk, rate = _move(model, method, params, key_values, walk, batch)
        order = visits(model, key_move, options.windows)
        point = sweep(model, params, key_masks, walk.point, batch, order, highest=not method.samples)
        walk = walk._replace(point=point)
        if index >= options.warmup:
            kept.append(jax.device_get((point.latents, walk.log_joint)))
            accepted.append(rate)
        if index % 20 == 19 or index == total - 1:
            _check(np.asarray(walk.log_joint), method, index + 1)
    latents, log_joint = jax.tree.map(lambda *of: np.stack(of), *kept)
    return Inferred(latents, log_joint, first, np.asarray(jnp.mean(jnp.stack(accepted), axis=0)))


def _by_number(statistic: Callable, latent: Masked) -> np.ndarray:
    draws = jax.tree.map(jnp.asarray, latent).product
    # blackjax drops every dimension of size 1.
    return np.asarray(statistic(draws, chain_axis=1, sample_axis=0)).reshape(draws.shape[2:])


def _check(log_joint: np.ndarray, method: AbstractMethod, move: int) -> None:
    finite = np.isfinite(log_joint).all(axis=0)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise UserError(
            f"{type(method).__name__.lower()} diverged: log p(x, z) of image {bad[0]} is not finite after {move} moves "
            f"with step_size {method.step_size}; allowed: smaller, for example {method.step_size / 4:g}"
        )


def _log_joint(model, method, params, image, label, latents) -> LogJoint:
    """What a method moves on: a density of all values where it draws, log p(x, z) where it descends."""

    def of(position: Position) -> Float[Array, ""]:
        joint = joint_of(model, params, image, label, with_values(latents, position))
        return joint.of_all() if method.samples else joint.total

    return of


@partial(jax.jit, static_argnums=(0, 1))
def _start(model: Model, method: AbstractMethod, params: Params, keys: Array | None, batch: Batch) -> _Walk:
    def one(key, image, label):
        trace = model.infer(params, key, Batch(image[None], label[None]))
        latents = dict(trace.latents)
        if key is None:  # the center has mean masks
            for site in model.mask_sites:
                mode = site.kind.harden(trace.sites[site.name].posterior.logits)
                latents[site.name] = latents[site.name]._replace(mask=mode)
        latents = jax.tree.map(lambda leaf: leaf[0], latents)
        point = Point(latents, joint_of(model, params, image, label, latents) if model.mask_sites else None)
        log_joint = _log_joint(model, method, params, image, label, latents)
        return _Walk(point, method.init(values(model, latents), log_joint))

    if keys is None:
        return jax.tree.map(lambda leaf: leaf[None], jax.vmap(partial(one, None))(batch.image, batch.label))

    def chain(key):
        # An image's key is its own, whatever the batch.
        keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(len(batch.image)))
        return jax.vmap(one)(keys, batch.image, batch.label)

    return jax.vmap(chain)(keys)


@partial(jax.jit, static_argnums=(0, 1))
def _move(model: Model, method: AbstractMethod, params: Params, key: Key[Array, ""], walk: _Walk, batch: Batch):
    """All chains after a move of their values, and the probability with which it was accepted."""

    def one(key, walk, image, label):
        (latents, _), state = walk
        log_joint = _log_joint(model, method, params, image, label, latents)
        if model.mask_sites:
            state = method.resume(state._replace(position=values(model, latents)), log_joint)
        state, accepted = method.move(key, state, log_joint)
        latents = with_values(latents, state.position)
        joint = joint_of(model, params, image, label, latents) if model.mask_sites else None
        return _Walk(Point(latents, joint), state), accepted

    keys = keys_of(key, *walk.state.log_joint.shape)
    if not walk.state.position:
        return walk, jnp.ones(keys.shape)
    over_images = jax.vmap(one)
    return jax.vmap(over_images, in_axes=(0, 0, None, None))(keys, walk, batch.image, batch.label)
