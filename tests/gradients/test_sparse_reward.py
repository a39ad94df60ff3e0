import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.gradients import SparseReward


def test_it_is_the_reward_of_masked_values():
    keys = jax.random.split(jax.random.key(0), 3)
    values, weights = jax.random.normal(keys[0], (2, 3, 4)), jax.random.normal(keys[1], (12, 5))
    masks = jax.nn.one_hot(jax.random.randint(keys[2], (2, 3), 0, 4), 4)
    reward = SparseReward(values, weights, lambda hidden: jnp.sum(jnp.tanh(hidden), axis=-1))
    by_hand = [
        np.tanh(sum(np.asarray(values)[b, d, k] * np.asarray(weights)[4 * d + k] for d, k in chosen)).sum()
        for b, chosen in enumerate([enumerate(np.argmax(np.asarray(masks)[b], -1)) for b in range(2)])
    ]
    np.testing.assert_allclose(reward(masks), by_hand, rtol=1e-5)


def test_a_place_that_changes_moves_hidden_by_rows_of_the_weights():
    values, weights = jnp.arange(1.0, 9.0).reshape(1, 2, 4), jax.random.normal(jax.random.key(1), (8, 3))
    reward = SparseReward(values, weights, lambda hidden: jnp.sum(hidden, axis=-1))
    before, after = jnp.eye(4)[jnp.array([[0, 2]])], jnp.eye(4)[jnp.array([[3, 2]])]
    moved = values[0, 0, 3] * weights[3] - values[0, 0, 0] * weights[0]
    np.testing.assert_allclose(reward.hidden(after) - reward.hidden(before), moved[None], rtol=1e-5, atol=1e-6)
