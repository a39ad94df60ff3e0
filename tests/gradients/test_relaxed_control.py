from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ctc_jax.gradients import REBAR, RELAX
from tests.gradients.conftest import build, gradients, learned, z_scores

CASES = [("bernoulli", (2, 4), "values"), ("categorical", (2, 2, 3), "values")]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[0])
def problem(request):
    return build(*request.param)


def by_mask(problem, values):
    """The masks that gave rewards `[keys, batch]`, found among all: no two have the same."""
    every = problem.kind.every(problem.logits)
    rewards = np.asarray(jax.jit(jax.vmap(partial(problem.reward, problem.weights)))(every))
    which = np.argmin(abs(rewards[:, None] - np.asarray(values)[None]), axis=0)
    return jnp.stack([every[which[:, b], b] for b in range(len(problem.logits))], axis=1)


def test_the_gradient_in_its_parameters_is_minus_that_of_the_squared_gradient(problem):
    """Against central differences of the mean over keys, at the same keys."""
    _, params, context = learned("relax", problem)
    keys = jax.random.split(jax.random.key(1), 32)

    def surrogate(logits, params, key):
        estimate = RELAX()(
            key,
            logits,
            lambda masks: problem.reward(problem.weights, masks),
            kind=problem.kind,
            params=params,
            context=context,
        )
        return estimate.surrogate.sum()

    @jax.jit
    def squared(params):
        return (jax.vmap(lambda key: jax.grad(surrogate)(problem.logits, params, key))(keys) ** 2).sum() / len(keys)

    @jax.jit
    def found(params):
        return jax.vmap(lambda key: jax.grad(surrogate, argnums=1)(problem.logits, params, key))(keys)

    mean = jax.tree.map(lambda leaf: leaf.mean(axis=0), found(params))
    for name in params:
        # The network's parameters along one direction, the numbers by themselves.
        way = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(2), leaf.shape), params[name])
        ends = [
            float(squared({**params, name: jax.tree.map(lambda a, b, h=h: a + h * b, params[name], way)}))
            for h in (0.01, -0.01)
        ]
        along = sum(
            float((a * b).sum()) for a, b in zip(jax.tree.leaves(mean[name]), jax.tree.leaves(way), strict=True)
        )
        np.testing.assert_allclose((ends[0] - ends[1]) / 0.02, -along, rtol=5e-3)


def test_without_weight_it_is_the_score_gradient_however_cold(problem):
    params = {"log_temperature": jnp.float32(-12.0), "eta": jnp.float32(0.0)}
    (by_logits, by_weights), values = gradients(problem, REBAR(), keys=64, params=params)
    masks = by_mask(problem, values)
    signal = values.reshape(*values.shape, *(1,) * (problem.logits.ndim - 1))
    np.testing.assert_allclose(
        by_logits, signal * (masks - problem.kind.probs(problem.logits)[None]), rtol=1e-3, atol=1e-4
    )
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(by_weights))


def test_a_network_of_zero_leaves_rebar(problem):
    params = RELAX(temperature=0.5, width=4).init(jax.random.key(0), problem.logits.shape[1:], 0)
    with_network, _ = gradients(problem, RELAX(), keys=8, params=params)
    without, _ = gradients(problem, REBAR(), keys=8, params=REBAR(temperature=0.5).init(jax.random.key(0), (), 0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), with_network, without)


def test_what_the_reward_closes_over_has_the_gradient_of_the_mask_alone(problem):
    """Neither the control variate nor the loss of its parameters moves it."""
    _, params, context = learned("relax", problem)
    (_, by_weights), values = gradients(problem, RELAX(), keys=64, params=params, context=context)
    at_masks = jax.vmap(jax.grad(lambda weights, masks: problem.reward(weights, masks).sum()), in_axes=(None, 0))
    expected = jax.jit(at_masks)(problem.weights, by_mask(problem, values))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), by_weights, expected)


def test_its_parameters_learn_to_vary_less(problem):
    start = {"log_temperature": jnp.float32(-1.5), "eta": jnp.float32(1.5)}
    optimizer = optax.adam(0.02)

    def surrogate(params, key):
        reward = REBAR()(
            key,
            problem.logits,
            lambda masks: problem.reward(problem.weights, masks),
            kind=problem.kind,
            params=params,
        )
        return reward.surrogate.sum()

    def step(carry, key):
        params, state = carry
        each = jax.vmap(jax.grad(surrogate), in_axes=(None, 0))(params, jax.random.split(key, 16))
        updates, state = optimizer.update(jax.tree.map(lambda leaf: -leaf.mean(axis=0), each), state)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.key(6), 150)
    (trained, _), _ = jax.jit(lambda at: jax.lax.scan(step, at, keys))((start, optimizer.init(start)))
    before, after = (
        np.asarray(gradients(problem, REBAR(), keys=2**12, params=params)[0][0]).var(axis=0).sum()
        for params in (start, trained)
    )
    assert after < 0.8 * before


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_a_reward_that_jumps_in_relaxed_masks_breaks_its_condition_and_biases_it(problem, name):
    """The same reward of hard masks, once by relaxed masks as they are and once by a threshold on them."""
    estimator, params, context = learned(name, problem)
    assert estimator.condition == "the reward is continuous in relaxed masks"

    def jumping(weights, masks):
        return problem.reward(weights, masks + jax.lax.stop_gradient((masks > 0.5) - masks))

    found, _ = gradients(problem._replace(reward=jumping), estimator, params=params, context=context)
    assert np.abs(z_scores(found[0], problem.exact[0])).max() > 10
