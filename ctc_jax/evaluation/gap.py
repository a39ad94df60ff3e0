"""How far an ELBO is from log p(x), and whose fault that is (Cremer et al. 2018, arXiv:1801.03558).

Tests: tests/evaluation/test_gap.py.
"""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key
from scipy.special import logsumexp

from ctc_jax.data import Batch
from ctc_jax.errors import UserError
from ctc_jax.inference import AnnealingOptions, annealed, tuned_steps, unserved
from ctc_jax.models import Model, Params
from ctc_jax.objectives import log_weights

# Of q in a step of the fit; latents at a time, where the bounds are estimated.
DRAWS, CHUNK = 16, 500


class Gap(NamedTuple):
    """Each image's log p(x), its ELBO at the best q of the family, and that at the q of the recognition model, nats.

    Attributes:
      importance_bound: of the one of the two q whose bound is higher in the mean.
      annealed_bound: by annealed importance sampling; None where it does not serve the model, or was not asked for.
      best_elbo: at the q fitted to the image.
      elbo: at the q of the recognition model.
    """

    importance_bound: Float[np.ndarray, " images"]
    annealed_bound: Float[np.ndarray, " images"] | None
    best_elbo: Float[np.ndarray, " images"]
    elbo: Float[np.ndarray, " images"]

    @property
    def log_likelihood(self) -> Float[np.ndarray, " images"]:
        """The higher of the two bounds."""
        return (
            self.importance_bound
            if self.annealed_bound is None
            else _higher(self.importance_bound, self.annealed_bound)
        )

    @property
    def approximation(self) -> Float[np.ndarray, " images"]:
        """What the family cannot reach."""
        return self.log_likelihood - self.best_elbo

    @property
    def amortization(self) -> Float[np.ndarray, " images"]:
        """What one recognition model for all images loses."""
        return self.best_elbo - self.elbo


def gap(
    model: Model,
    params: Params,
    key: Key[Array, ""],
    batch: Batch,
    *,
    steps: int,
    learning_rate: float,
    samples: int,
    annealing: AnnealingOptions | None = None,
) -> Gap:
    """Fits q to each image alone, from the recognition model on, and takes the gap apart.

    What is fitted are all parameters that p(x, z) does not have, a copy for each image, by Adam along a cosine on the
    ELBO with the model's own gradient through masks. This serves every model and family: one image's copy of the
    encoder can send it any features, so that q becomes the best of its family however the family sees them. A biased
    estimator, or too few steps, leaves q below its best: some of the amortization gap then counts as approximation gap.

    Args:
      model: any whose recognition model has parameters of its own.
      params: its parameters.
      key: of everything drawn.
      batch: images.
      steps: of the fit of each image.
      learning_rate: of the first step.
      samples: latents of each q by which its ELBO and its importance bound are estimated.
      annealing: how long annealed importance sampling runs, None to leave it out.

    Raises:
      UserError: there is nothing to fit.
    """
    free = recognition_leaves(model, params)
    if not any(free):
        raise UserError(NOTHING)
    key_fit, key_weights, key_annealing = jax.random.split(key, 3)
    found = []
    for index in range(len(batch.image)):
        # One after another: a convolution with weights of its own for each image of a batch is slow on CPUs.
        single = jax.tree.map(lambda leaf, at=index: leaf[at : at + 1], batch)
        of_image = partial(jax.random.fold_in, data=index)
        fitted = _fitted(model, params, free, of_image(key_fit), single, steps, learning_rate)
        keys = jax.random.split(of_image(key_weights), samples)
        # The same draws for both, so that the noise of their difference is small.
        found.append([_weights(model, of, keys, single) for of in (fitted, params)])
    weights = np.asarray(found, np.float64)
    best, amortized = weights.mean(axis=2).T
    bound = _higher(*(logsumexp(weights, axis=2) - np.log(samples)).T)
    other = None
    if annealing is not None and not unserved(model, params):
        key_tune, key_run = jax.random.split(key_annealing)
        sizes = tuned_steps(model, params, key_tune, batch, annealing)
        other = annealed(model, params, key_run, batch, annealing, sizes).lower
    return Gap(bound, other, best, amortized)


def _higher(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """In the mean; the higher of each image would be too high, since both are noisy."""
    return one if one.mean() >= other.mean() else other


def gap_statistics(found: Gap) -> dict[str, float]:
    """`gap/...`: means over images, with the standard errors of the parts of the gap."""
    shown = {
        "importance_bound": found.importance_bound,
        "annealed_bound": found.annealed_bound,
        "log_likelihood": found.log_likelihood,
        "best_elbo": found.best_elbo,
        "elbo": found.elbo,
        "approximation": found.approximation,
        "amortization": found.amortization,
    }
    numbers = {f"gap/{name}_nats": float(of.mean()) for name, of in shown.items() if of is not None}
    if len(found.elbo) > 1:
        for name in ("approximation", "amortization"):
            error = np.std(shown[name], ddof=1) / np.sqrt(len(found.elbo))
            numbers[f"gap/{name}_standard_error_nats"] = float(error)
    return {**numbers, "gap_images": len(found.elbo)}


NOTHING = "the model has no recognition model with parameters of its own"


def recognition_leaves(model: Model, params: Params) -> tuple[bool, ...]:
    """Of each array of the parameters, or of their shapes, whether p(x, z) does without it."""
    batch = Batch(jnp.zeros((1, *model.image_shape), jnp.uint8), jnp.zeros(1, jnp.int32))
    latents = jax.eval_shape(lambda params: model.infer(params, jax.random.key(0), batch).latents, params)
    program = jax.make_jaxpr(lambda params, latents: model.joint(params, batch, latents).total)(params, latents).jaxpr
    read = {id(variable) for equation in program.eqns for variable in equation.invars}
    read |= {id(variable) for variable in program.outvars}
    leaves = program.invars[: len(jax.tree.leaves(params))]
    return tuple(id(variable) not in read for variable in leaves)


def _fitted(model, params, free, key, single, steps, learning_rate) -> Params:
    optimizer = _optimizer(steps, learning_rate)
    own = [leaf for leaf, ours in zip(jax.tree.leaves(params), free, strict=True) if ours]
    state = optimizer.init(own)
    for step in range(steps):
        own, state = _ascend(model, optimizer, free, params, own, state, jax.random.fold_in(key, step), single)
    return _merged(params, free, own)


@cache  # one object, so that another image's fit is not compiled again
def _optimizer(steps: int, learning_rate: float) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(learning_rate, steps))


@partial(jax.jit, static_argnums=(0, 1, 2))
def _ascend(model, optimizer, free, params, own, state, key, single) -> tuple[list[Array], Any]:
    def loss(own):
        def elbo(key):
            bound = model.bound(_merged(params, free, own), key, single)
            return jnp.sum(bound.log_likelihood - sum(bound.kl.values()))

        return -jnp.mean(jax.vmap(elbo)(jax.random.split(key, DRAWS)))

    updates, state = optimizer.update(jax.grad(loss)(own), state)
    return optax.apply_updates(own, updates), state


def _merged(params: Params, free: tuple[bool, ...], own: list[Array]) -> Params:
    leaves, tree = jax.tree.flatten(params)
    ours = iter(own)
    return jax.tree.unflatten(tree, [next(ours) if mine else leaf for leaf, mine in zip(leaves, free, strict=True)])


def _weights(model, params, keys, single) -> np.ndarray:
    chunks = (keys[None, first : first + CHUNK] for first in range(0, len(keys), CHUNK))
    return np.concatenate([_log_weights(model, params, chunk, single)[0] for chunk in chunks])


_log_weights = jax.jit(log_weights, static_argnums=0)
