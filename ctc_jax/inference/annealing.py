"""Annealed importance sampling, forward and reverse (Neal 2001; Grosse et al. 2015, arXiv:1511.02543).

Tests: tests/inference/test_annealing.py.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.special import logsumexp

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.inference.gibbs import sweep, visits
from ctc_jax.inference.method import Position, keys_of
from ctc_jax.inference.point import Point, joint_of, labels, values, with_values
from ctc_jax.inference.served import check_served
from ctc_jax.models import Latents, Model, Params
from ctc_jax.options import Options, option

# What HMC accepts at its best step size, and how fast sizes follow while they are tuned.
WANTED, RATE = 0.65, 0.05


@dataclass(frozen=True)
class AnnealingOptions(Options):
    """Of annealed importance sampling."""

    temperatures: int = option(1_000, "densities between p(z) and p(x, z); the gap falls with them", at_least=1)
    chains: int = option(16, "of an image", at_least=1)
    leapfrogs: int = option(10, "steps of a transition", at_least=1)
    step_size: float = option(0.1, "where tuning starts, or the size itself; in units of the latents", above=0)
    tuned: bool = option(True, "whether each temperature and image has a size of its own, found by a run before")
    windows: int = option(
        16,
        "whose masks a transition draws again, for an evaluation of the model per other alternative; 0 is all",
        at_least=0,
    )


class Annealed(NamedTuple):
    """The end of all chains.

    Attributes:
      log_weights: nats; of forward chains their weights have the mean p(x), of reverse ones their inverses 1 / p(x).
      acceptance: mean probability with which HMC was accepted.
    """

    log_weights: Float[np.ndarray, "chains images"]
    acceptance: Float[np.ndarray, "images"]

    @property
    def lower(self) -> Float[np.ndarray, "images"]:
        """Of forward chains: a lower bound on log p(x) in the mean, nats."""
        return logsumexp(np.float64(self.log_weights), axis=0) - np.log(len(self.log_weights))

    @property
    def upper(self) -> Float[np.ndarray, "images"]:
        """Of reverse chains, which start at an exact draw of p(z | x): an upper bound in the mean, nats."""
        return np.log(len(self.log_weights)) - logsumexp(-np.float64(self.log_weights), axis=0)


def tuned_steps(
    model: Model, params: Params, key: Key[Array, ""], batch: Batch, options: AnnealingOptions
) -> Float[np.ndarray, "temperatures images"]:
    """Step sizes at each temperature, found by a run whose weights are thrown away; the one of the options untuned.

    Sizes that were still adapted in the run that counts would make its chain no Markov chain: its reversal, and with it
    the upper bound, would be wrong.
    """
    if not options.tuned:
        return np.full((options.temperatures, len(batch.image)), options.step_size, np.float32)
    return _anneal(model, params, key, batch, options, None, None)[1]


def annealed(
    model: Model,
    params: Params,
    key: Key[Array, ""],
    batch: Batch,
    options: AnnealingOptions,
    steps: Float[np.ndarray, "temperatures images"],
    exact: Latents | None = None,
) -> Annealed:
    """Chains from p(z) to p(x, z), with HMC of values and a Gibbs sweep of masks at p(z) p(x | z)^b for b from 0 to 1;
    or back from exact draws.

    z has all values here, those that no mask selects as well.

    Args:
      model: any with a latent that is not given with the image.
      params: its parameters.
      key: of starts and transitions.
      batch: images, and what is given with them.
      options: how many and how long.
      steps: sizes, of `tuned_steps`.
      exact: latents from which the images were drawn, for reverse chains: draws of p(z | x), as simulated data have.

    Raises:
      UserError: there is nothing to infer in the model.
    """
    return _anneal(model, params, key, batch, options, steps, exact)[0]


def bracketed(
    model: Model, params: Params, key: Key[Array, ""], count: int, options: AnnealingOptions
) -> tuple[Annealed, Annealed]:
    """Forward and reverse chains for `count` images of the model's own: log p(x) lies between `lower` and `upper`."""
    key_data, key_tune, key_forward, key_reverse = jax.random.split(key, 4)
    latents, images = _simulated(model, params, key_data, count)
    given = [latents[name].value for name in labels(latents)]
    batch = Batch(images, given[0] if given else jnp.zeros(count, jnp.int32))
    steps = tuned_steps(model, params, key_tune, batch, options)
    forward = annealed(model, params, key_forward, batch, options, steps)
    return forward, annealed(model, params, key_reverse, batch, options, steps, latents)


def _anneal(model, params, key, batch, options, steps, exact):
    check_served(model, params)
    key_start, key_moves = jax.random.split(key)
    point = _start(model, params, key_start, options.chains, batch, exact)
    betas = np.linspace(0.0, 1.0, options.temperatures + 1)
    forward = exact is None
    size = jnp.full(len(batch.image), options.step_size)
    log_weights, sizes, accepted = jnp.zeros((options.chains, len(batch.image))), [], 0.0
    for index in range(options.temperatures):
        place = index if forward else options.temperatures - 1 - index
        beta, gap = betas[place + 1], betas[place + 1] - betas[place]
        if steps is not None:
            size = jnp.asarray(steps[place])
        key = jax.random.fold_in(key_moves, index)
        key_values, key_masks = jax.random.split(key)
        order = visits(model, key, options.windows)
        # HMC and each visit of a window are reversible; back from the end their order is the other way round.
        if forward:
            log_weights += gap * point.joint.log_likelihood
            point, rate = _move(model, options.leapfrogs, params, key_values, point, batch, beta, size)
            point = sweep(model, params, key_masks, point, batch, order, beta=beta)
        else:
            point = sweep(model, params, key_masks, point, batch, order[::-1], beta=beta)
            point, rate = _move(model, options.leapfrogs, params, key_values, point, batch, beta, size)
            log_weights += gap * point.joint.log_likelihood
        sizes.append(size)
        if steps is None and values(model, point.latents):
            size = size * jnp.exp(RATE * (rate - WANTED))
        accepted += rate / options.temperatures
    found = np.stack([np.asarray(of) for of in sizes])
    return Annealed(np.asarray(log_weights), np.asarray(accepted)), found


@partial(jax.jit, static_argnums=(0, 3))
def _start(model, params, key, chains, batch, exact):
    """Draws of the prior, or exact ones of the posterior: `[chains, images, ...]`."""
    images = len(batch.image)
    if exact is None:
        shapes, _ = jax.eval_shape(partial(model.generate, count=1), params, key)
        given = {name: Masked(jnp.tile(batch.label, chains)) for name in labels(shapes)}
        drawn, _ = model.generate(params, key, chains * images, given=given)
        latents = jax.tree.map(lambda leaf: leaf.reshape(chains, images, *leaf.shape[1:]), drawn)
    else:
        latents = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (chains, *leaf.shape)), exact)
    of_batch = jax.vmap(partial(joint_of, model, params))
    joint = jax.vmap(of_batch, in_axes=(None, None, 0))(batch.image, batch.label, latents)
    return Point(latents, joint)


@partial(jax.jit, static_argnums=(0, 1))
def _move(model, leapfrogs, params, key, point, batch, beta, size):
    """HMC at `beta` of all chains with the masks held, and the probability with which an image's were accepted."""
    from blackjax import hmc  # late, as in chains.py

    def one(key, latents, image, label, size):
        def log_density(position: Position) -> Float[Array, ""]:
            return joint_of(model, params, image, label, with_values(latents, position)).of_all(beta)

        position = values(model, latents)
        masses = jnp.ones(sum(leaf.size for leaf in jax.tree.leaves(position)))
        kernel = hmc(log_density, size, masses, leapfrogs)
        state, info = kernel.step(key, kernel.init(position))
        latents = with_values(latents, state.position)
        return Point(latents, joint_of(model, params, image, label, latents)), info.acceptance_rate

    if not values(model, point.latents):
        return point, jnp.ones(size.shape)
    keys = keys_of(key, *point.joint.log_likelihood.shape)
    each = jax.vmap(jax.vmap(one), in_axes=(0, 0, None, None, None))
    point, rate = each(keys, point.latents, batch.image, batch.label, size)
    return point, jnp.mean(rate, axis=0)


@partial(jax.jit, static_argnums=(0, 3))
def _simulated(model, params, key, count):
    key_latents, key_pixels = jax.random.split(key)
    latents, pixels = model.generate(params, key_latents, count)
    return latents, pixels.sample(key_pixels)
