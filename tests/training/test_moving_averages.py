import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ctc_jax.gradients.moving_average import follow
from ctc_jax.training import SECTION, moving_averages, optimizer

PARAMS = {"w": jnp.ones(2), "estimator": {"b": jnp.ones(1), "moving_averages": {"c": jnp.float32(2.0)}}}
GRADIENT = {"w": jnp.full(2, 3.0), "estimator": {"b": jnp.ones(1), "moving_averages": {"c": jnp.float32(40.0)}}}


def updates(config, gradient, params):
    chain = optimizer.build(SECTION.read_shared(config.train))
    return chain.update(gradient, chain.init(params), params)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"train__clip_norm": 1e-3},
        {"train__warmup_steps": 5},
        {"train__optimizer": "adamw", "train__weight_decay": 0.5},
    ],
)
def test_a_moving_average_takes_its_whole_step_and_the_rest_is_as_without_it(tiny, changes):
    config = tiny(**changes)
    both = updates(config, GRADIENT, PARAMS)
    assert both["estimator"]["moving_averages"]["c"] == -40.0

    def others(tree):
        return {"w": tree["w"], "b": tree["estimator"]["b"]}

    alone = updates(config, others(GRADIENT), others(PARAMS))
    for a, b in zip(jax.tree.leaves(others(both)), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_moves_an_average_towards_the_mean_target(tiny):
    targets, decay = jnp.array([5.0, 9.0, -2.0]), 0.75

    def loss(params):
        return -jnp.mean(follow(params["moving_averages"]["c"], targets, decay))

    params = {"moving_averages": {"c": jnp.float32(2.0)}}
    moved = optax.apply_updates(params, updates(tiny(), jax.grad(loss)(params), params))
    np.testing.assert_allclose(moved["moving_averages"]["c"], 0.75 * 2.0 + 0.25 * 4.0, rtol=1e-6)


def test_without_moving_averages_the_state_is_that_of_the_optimizer_itself():
    inner = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))
    params = {"w": jnp.ones(2)}
    apart, plain = moving_averages.apart(inner).init(params), inner.init(params)
    assert jax.tree.structure(apart) == jax.tree.structure(plain)


def test_accumulated_batches_move_an_average_once_by_their_mean(tiny):
    chain = optimizer.build(SECTION.read_shared(tiny(train__accumulate=2).train))
    params = {"w": jnp.ones(1), "moving_averages": {"c": jnp.float32(0.0)}}
    state, moves = chain.init(params), []
    for gradient in (4.0, 8.0):
        step, state = chain.update({"w": jnp.ones(1), "moving_averages": {"c": jnp.float32(gradient)}}, state, params)
        moves.append(float(step["moving_averages"]["c"]))
    assert moves == [0.0, -6.0]


def test_the_norm_leaves_moving_averages_out():
    assert optax.tree.norm(moving_averages.without(GRADIENT)) == pytest.approx(np.sqrt(9 + 9 + 1))
