"""Stochastic gradient Langevin dynamics on parameters, as an optimizer. Tests: tests/training/test_langevin.py."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ctc_jax.models import Params

# Keys of a run's steps are folded with their number, those of the noise with this before.
NOISE = 2**31 + 11


class LangevinState(NamedTuple):
    """What the next update depends on.

    Attributes:
      updates: done so far, int32 scalar.
      square: second moment of the gradient; an empty tuple without preconditioning.
    """

    updates: Any
    square: Any


def sgld(
    learning_rate: optax.Schedule,
    images: int,
    seed: int,
    *,
    weight_decay: float,
    beta2: float | None = None,
    epsilon: float = 0.0,
) -> optax.GradientTransformation:
    """Draws of p(params | images) from gradients of mean losses, each -log p(image) of an image in nats.

    With h the learning rate, N the images, d the weight decay and G = 1, an update is

        -h G (gradient + d params) + sqrt(2 h G / N) noise,

    the step of Welling and Teh (2011) of size 2 h / N on sum log p(image) + log N(params; 0, 1 / (N d)); d = 0 is a
    flat prior. Preconditioned (Li et al. 2016, arXiv:1512.07666), G = 1 / (epsilon + root mean square of the gradient),
    whose derivative is left out as in the paper: right while the noise of batches makes up most of it. The noise is a
    function of seed and update, so that a run resumes exactly. An optax transformation rather than blackjax's kernel,
    which wants a gradient of its own and imports the devices.

    Args:
      learning_rate: h of an update.
      images: N, in the whole training part.
      seed: of the noise.
      weight_decay: d.
      beta2: decay of the second moment; None is no preconditioning.
      epsilon: added to its root: without a gradient, 1 / epsilon is all that bounds G.
    """

    def init(params: Params) -> LangevinState:
        square = () if beta2 is None else jax.tree.map(jnp.zeros_like, params)
        return LangevinState(jnp.zeros((), jnp.int32), square)

    def update(gradient: Params, state: LangevinState, params: Params) -> tuple[Params, LangevinState]:
        rate, updates = learning_rate(state.updates), state.updates + 1
        leaves, structure = jax.tree.flatten(gradient)
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), NOISE), state.updates)
        keys = jax.tree.unflatten(structure, [jax.random.fold_in(key, index) for index in range(len(leaves))])
        if beta2 is None:
            square, scale = (), jax.tree.map(lambda _: 1.0, gradient)
        else:
            square = optax.tree.update_moment_per_elem_norm(gradient, state.square, beta2, 2)
            corrected = optax.tree.bias_correction(square, beta2, updates)
            scale = jax.tree.map(lambda moment: 1.0 / (epsilon + jnp.sqrt(moment)), corrected)

        def moved(slope, value, scale, key):
            noise = jnp.sqrt(2.0 * rate * scale / images) * jax.random.normal(key, slope.shape, slope.dtype)
            return noise - rate * scale * (slope + weight_decay * value)

        return jax.tree.map(moved, gradient, params, scale, keys), LangevinState(updates, square)

    return optax.GradientTransformation(init, update)
