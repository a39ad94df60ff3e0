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
from ctc_jax.inference.method import Position, keys_of
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
    step_size: float = option(0.1, "where tuning starts, in units of the latents", above=0)


class Annealed(NamedTuple):
    """The end of all chains.

    Attributes:
      log_weights: nats; of forward chains their weights have the mean p(x), of reverse ones their inverses 1 / p(x).
      acceptance: mean probability with which transitions were accepted.
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
    """Step sizes at each temperature, found by a run whose weights are thrown away.

    Sizes that were still adapted in the run that counts would make its chain no Markov chain: its reversal, and with it
    the upper bound, would be wrong.
    """
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
    """Chains from p(z) to p(x, z), with HMC at p(z) p(x | z)^b for b from 0 to 1; or back from exact draws.

    Args:
      model: any whose latents have no masks.
      params: its parameters.
      key: of starts and transitions.
      batch: images.
      options: how many and how long.
      steps: sizes, of `tuned_steps`.
      exact: latents from which the images were drawn, for reverse chains: draws of p(z | x), as simulated data have.

    Raises:
      UserError: the model has masks, or no continuous latent.
    """
    return _anneal(model, params, key, batch, options, steps, exact)[0]


def bracketed(
    model: Model, params: Params, key: Key[Array, ""], count: int, options: AnnealingOptions
) -> tuple[Annealed, Annealed]:
    """Forward and reverse chains for `count` images of the model's own: log p(x) lies between `lower` and `upper`."""
    key_data, key_tune, key_forward, key_reverse = jax.random.split(key, 4)
    latents, images = _simulated(model, params, key_data, count)
    batch = Batch(images, jnp.zeros(count, jnp.int32))
    steps = tuned_steps(model, params, key_tune, batch, options)
    forward = annealed(model, params, key_forward, batch, options, steps)
    return forward, annealed(model, params, key_reverse, batch, options, steps, latents)


def _anneal(model, params, key, batch, options, steps, exact):
    check_served(model, params)
    key_start, key_moves = jax.random.split(key)
    if exact is None:
        position = _drawn(model, params, key_start, options.chains, len(batch.image))
    else:
        position = {
            name: jnp.broadcast_to(latent.value[None], (options.chains, *latent.value.shape))
            for name, latent in exact.items()
        }
    betas = np.linspace(0.0, 1.0, options.temperatures + 1)
    forward = exact is None
    size = jnp.full(len(batch.image), options.step_size)
    log_weights, sizes, accepted = jnp.zeros((options.chains, len(batch.image))), [], 0.0
    for index in range(options.temperatures):
        place = index if forward else options.temperatures - 1 - index
        low, high = betas[place], betas[place + 1]
        if steps is not None:
            size = jnp.asarray(steps[place])
        key = jax.random.fold_in(key_moves, index)
        # Forward: weigh, then move at the hotter end's successor; reverse: move there, then weigh.
        position, gain, rate = _move(
            model, options.leapfrogs, forward, params, key, position, batch, high, high - low, size
        )
        log_weights += gain
        sizes.append(size)
        if steps is None:
            size = size * jnp.exp(RATE * (rate - WANTED))
        accepted += rate / options.temperatures
    found = np.stack([np.asarray(of) for of in sizes])
    return Annealed(np.asarray(log_weights), np.asarray(accepted)), found


@partial(jax.jit, static_argnums=(0, 1, 2))
def _move(model, leapfrogs, forward, params, key, position, batch, beta, gap, size):
    """A transition at `beta` of all chains, and the weight of coming there from `beta - gap`, or of going back."""
    from blackjax import hmc  # late, as in chains.py

    chains = len(jax.tree.leaves(position)[0])

    def one(key, position, image, label, size):
        single = Batch(image[None], label[None])

        def parts(position: Position) -> tuple[Float[Array, ""], Float[Array, ""]]:
            given = {name: Masked(value[None]) for name, value in position.items()}
            joint = model.joint(params, single, given)
            return joint.log_likelihood[0], joint.total[0] - joint.log_likelihood[0]

        def log_density(position: Position) -> Float[Array, ""]:
            log_likelihood, log_prior = parts(position)
            return log_prior + beta * log_likelihood

        masses = jnp.ones(sum(leaf.size for leaf in jax.tree.leaves(position)))
        kernel = hmc(log_density, size, masses, leapfrogs)
        state, info = kernel.step(key, kernel.init(position))
        weighed = position if forward else state.position
        return state.position, gap * parts(weighed)[0], info.acceptance_rate

    keys = keys_of(key, chains, len(batch.image))
    each = jax.vmap(jax.vmap(one), in_axes=(0, 0, None, None, None))
    position, gain, rate = each(keys, position, batch.image, batch.label, size)
    return position, gain, jnp.mean(rate, axis=0)


@partial(jax.jit, static_argnums=(0, 3, 4))
def _drawn(model, params, key, chains, images):
    """Draws of the prior, `[chains, images, ...]`."""
    latents, _ = model.generate(params, key, chains * images)
    return {name: of.value.reshape(chains, images, *of.value.shape[1:]) for name, of in latents.items()}


@partial(jax.jit, static_argnums=(0, 3))
def _simulated(model, params, key, count):
    key_latents, key_pixels = jax.random.split(key)
    latents, pixels = model.generate(params, key_latents, count)
    return latents, pixels.sample(key_pixels)
