import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ctc_jax.gradients import NVIL, ScoreMovingAverage, small_network
from ctc_jax.gradients.moving_average import follow
from tests.gradients.conftest import gradient

ESTIMATORS = {"score_moving_average": ScoreMovingAverage(decay=0.9), "nvil": NVIL(decay=0.9, width=8)}


def example(name):
    keys = jax.random.split(jax.random.key(0), 4)
    rewards, log_masks = jax.random.normal(keys[0], (2, 1, 3))
    context = jax.random.normal(keys[1], (3, 2))
    params = ESTIMATORS[name].init(keys[2], (4,), 2)
    return rewards, log_masks, context, jax.tree.map(lambda leaf: leaf + 0.3, params)


def test_a_step_of_rate_one_is_the_moving_average():
    rewards, log_masks, _, params = example("score_moving_average")

    def surrogate(params):
        return ESTIMATORS["score_moving_average"].combine(rewards, log_masks, params=params).surrogate.mean()

    step = jax.tree.map(jnp.add, params, gradient(surrogate)(params))
    np.testing.assert_allclose(step["moving_averages"]["reward"], 0.9 * 0.3 + 0.1 * rewards.mean(), rtol=1e-5)


def test_nvil_moves_its_average_by_the_signal_and_its_baseline_along_half_the_squared_signal():
    rewards, log_masks, context, params = example("nvil")

    def baseline(network):
        hidden = jnp.tanh(context @ network["hidden"]["kernel"] + network["hidden"]["bias"][None])
        return (hidden @ network["out"]["kernel"] + network["out"]["bias"][None])[:, 0]

    def surrogate(params):
        estimate = ESTIMATORS["nvil"].combine(rewards, log_masks, params=params, context=context)
        return estimate.surrogate.mean()

    found = gradient(surrogate)(params)
    left = rewards[0] - baseline(params["baseline"])
    np.testing.assert_allclose(found["moving_averages"]["signal"], 0.1 * (left.mean() - 0.3), rtol=1e-4)
    loss = gradient(lambda network: 0.5 * ((rewards[0] - 0.3 - baseline(network)) ** 2).mean())(params["baseline"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, -b, rtol=1e-4, atol=1e-6), found["baseline"], loss)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_signal_is_held_and_the_reward_keeps_its_own_gradient(name):
    rewards, log_masks, context, params = example(name)

    def surrogate(rewards, log_masks, context):
        return ESTIMATORS[name].combine(rewards, log_masks, params=params, context=context).surrogate.sum()

    compute = gradient(surrogate, (0, 1, 2))
    by_reward, by_log_mask, by_context = compute(rewards, log_masks, context)
    np.testing.assert_array_equal(by_reward, 1.0)
    np.testing.assert_array_equal(by_context, 0.0)
    shifted = compute(rewards + 2.0, log_masks, context)[1]
    np.testing.assert_allclose(shifted - by_log_mask, 2.0, rtol=1e-5)


def test_baseline_and_average_of_nvil_come_to_the_mean_reward_of_each_input():
    means = jnp.array([-2.0, 0.0, 3.0, 7.0])
    context = jnp.eye(4)
    nvil = NVIL(width=8)
    params = nvil.init(jax.random.key(0), (1,), 4)
    optimizer = optax.adam(0.02)

    def surrogate(params, key):
        rewards = means[None] + jax.random.normal(key, (8, 4))
        return nvil.combine(rewards, jnp.zeros((8, 4)), params=params, context=context).surrogate.mean()

    def step(carry, key):
        params, state = carry
        gradient = jax.grad(surrogate)(params, key)
        updates, state = optimizer.update(jax.tree.map(jnp.negative, gradient), state)
        moved = optax.apply_updates(params, updates)
        moved["moving_averages"] = jax.tree.map(jnp.add, params["moving_averages"], gradient["moving_averages"])
        return (moved, state), small_network.of_input(moved["baseline"], context, 4)[:, 0]

    keys = jax.random.split(jax.random.key(1), 1500)
    (params, _), found = jax.jit(lambda at: jax.lax.scan(step, at, keys))((params, optimizer.init(params)))
    # Adam keeps it moving about the mean: averaged over the last steps.
    reached = found[-500:].mean(axis=0) + params["moving_averages"]["signal"]
    np.testing.assert_allclose(reached, means, atol=0.1)


def test_a_step_of_rate_one_is_the_average_of_every_number_and_the_value_is_zero():
    targets = jax.random.normal(jax.random.key(0), (5, 2, 3))
    average = jnp.ones((2, 3))
    np.testing.assert_array_equal(follow(average, targets, 0.8), np.zeros(5))
    moved = average + jax.grad(lambda average: follow(average, targets, 0.8).mean())(average)
    np.testing.assert_allclose(moved, 0.8 + 0.2 * targets.mean(axis=0), rtol=1e-5)


def test_no_gradient_reaches_targets():
    moved = jax.grad(lambda targets: follow(jnp.ones(()), targets, 0.5).sum())(jnp.zeros(3))
    np.testing.assert_array_equal(moved, 0.0)
