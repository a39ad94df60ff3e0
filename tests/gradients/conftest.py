"""Rewards on few masks, whose exact gradients come from a sum over all of them written here once more."""

import dataclasses
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions.mask_kind import KINDS
from ctc_jax.gradients import REGISTRY, MaskSite, SparseReward


def gradient(function, argnums=0):
    """`jax.grad`, compiled."""
    return jax.jit(jax.grad(function, argnums))


class Problem(NamedTuple):
    """A reward with parameters, and the exact gradient of its expectation.

    Attributes:
      kind: of the masks.
      logits: `[batch, dimensions]` or `[batch, dimensions, categories]`.
      weights: what the reward closes over.
      reward: `(weights, masks) -> [batch]`.
      exact: gradient in (logits, weights) of the expectation, summed over the batch, float64.
    """

    kind: Any
    logits: jax.Array
    weights: dict
    reward: Any
    exact: Any


def smooth(weights, masks):
    """A small network of the masks: no mask acts alone."""
    hidden = jnp.tanh(masks.reshape(len(masks), -1) @ weights["in"])
    return hidden @ weights["out"] + 0.3 * jnp.sum(hidden, axis=-1) ** 2


def values(weights, masks):
    """Of m * s: a value that is off matters through what it would have been."""
    return smooth(weights, masks * weights["values"])


CASES = [
    ("bernoulli", (2, 4), "values"),
    ("bernoulli", (1, 6), "smooth"),
    ("categorical", (2, 2, 3), "values"),
    ("categorical", (1, 1, 5), "smooth"),
]


@pytest.fixture(scope="session", params=CASES, ids=lambda case: f"{case[0]}-{'x'.join(map(str, case[1]))}-{case[2]}")
def problem(request):
    """Every kind, shape and reward."""
    return build(*request.param)


def build(name, shape, reward_name):
    """One problem."""
    keys = jax.random.split(jax.random.key(len(shape) + shape[1]), 4)
    size = int(np.prod(shape[1:]))
    logits = jax.random.normal(keys[0], shape)
    weights = {"in": jax.random.normal(keys[1], (size, 3)), "out": jax.random.normal(keys[2], (3,))}
    reward = smooth
    if reward_name == "values":
        weights["values"], reward = 1.0 + jax.random.normal(keys[3], shape), values
    choices = np.eye(shape[-1]) if name == "categorical" else np.arange(2.0)
    dimensions = shape[1] if name == "categorical" else size
    masks = np.stack([np.stack(chosen).reshape(shape[1:]) for chosen in itertools.product(choices, repeat=dimensions)])

    def expectation(logits, weights):
        every = jnp.broadcast_to(jnp.asarray(masks, jnp.float32)[:, None], (len(masks), *shape))
        if name == "categorical":
            log_q = (every * jax.nn.log_softmax(logits)[None]).sum((-1, -2))
        else:
            log_q = (every * logits[None] - jax.nn.softplus(logits)[None]).sum(-1)
        rewards = jnp.stack([reward(weights, mask) for mask in every])
        return (jnp.exp(log_q) * rewards).sum()

    exact = jax.jit(jax.grad(expectation, argnums=(0, 1)))(logits, weights)
    return Problem(KINDS[name], logits, weights, reward, exact)


def sparse(weights, masks):
    """The reward of a problem, whether `smooth` or `values`, as it shows its structure."""

    def rest(hidden):
        hidden = jnp.tanh(hidden)
        return hidden @ weights["out"] + 0.3 * jnp.sum(hidden, axis=-1) ** 2

    return SparseReward(weights.get("values", jnp.ones(masks.shape)), weights["in"], rest)


def options_of(part):
    """Names of the options of an estimator's class."""
    return [field.name for field in dataclasses.fields(part)]


def learned(name, problem, **options):
    """The registry's estimator with parameters away from their start, on features of two numbers an example."""
    part = REGISTRY[name]
    small = {"width": 4, "temperature": 0.7}
    options = {key: value for key, value in small.items() if key in options_of(part)} | options
    estimator = part(**options)
    params = estimator.init(jax.random.key(3), problem.logits.shape[1:], 2)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(4), len(leaves))
    moved = [leaf + 0.3 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    context = jax.random.normal(jax.random.key(5), (len(problem.logits), 2))
    return estimator, tree.unflatten(moved), context


def site(kind="categorical", masks=3, categories=5, name="z", **facts):
    """A latent with masks that has all an estimator can ask for."""
    shape = (masks,) if kind == "bernoulli" else (masks, categories)
    return MaskSite(name, KINDS[kind], shape, **{"valued": True, "linear": True, **facts})


def linear(kind, shape):
    """A reward linear in the masks: its expectation is the reward of the mean mask."""
    keys = jax.random.split(jax.random.key(7))
    logits, weights = jax.random.normal(keys[0], shape), {"c": jax.random.normal(keys[1], shape[1:])}

    def reward(weights, masks):
        return jnp.sum((masks * weights["c"][None]).reshape(len(masks), -1), axis=-1)

    exact = gradient(lambda *of: reward(of[1], KINDS[kind].probs(of[0])).sum(), (0, 1))(logits, weights)
    return Problem(KINDS[kind], logits, weights, reward, exact)


def gradients(problem, estimator, keys=2**14, seed=0, show=False, **options):
    """One gradient a key, in (logits, weights), and the values: leading axis of keys; `show` gives a SparseReward."""

    def surrogate(logits, weights, key):
        reward = sparse(weights, logits) if show else lambda masks: problem.reward(weights, masks)
        estimate = estimator(key, logits, reward, kind=problem.kind, **options)
        return estimate.surrogate.sum(), estimate.value

    one = jax.value_and_grad(surrogate, argnums=(0, 1), has_aux=True)
    every = jax.jit(jax.vmap(lambda key: one(problem.logits, problem.weights, key)))
    (surrogates, values), found = every(jax.random.split(jax.random.key(seed), keys))
    np.testing.assert_allclose(surrogates, values.sum(-1), rtol=1e-5, atol=1e-5)
    return found, values


def z_scores(found, exact):
    """Of the mean over keys, a coordinate each; where an estimate does not vary, its error in units of rounding."""

    def one(draws, exact):
        draws = np.asarray(draws, np.float64).reshape(len(draws), -1)
        error = draws.std(axis=0) / np.sqrt(len(draws))
        return (draws.mean(axis=0) - np.asarray(exact, np.float64).ravel()) / (error + 2e-6 * (1 + np.abs(exact).max()))

    return np.concatenate([one(a, b) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True)])
