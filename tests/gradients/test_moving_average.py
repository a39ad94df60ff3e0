import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.gradients.moving_average import follow


def test_a_step_of_rate_one_is_the_average_of_every_entry_and_the_value_is_zero():
    targets = jax.random.normal(jax.random.key(0), (5, 2, 3))
    average = jnp.ones((2, 3))
    np.testing.assert_array_equal(follow(average, targets, 0.8), np.zeros(5))
    moved = average + jax.grad(lambda average: follow(average, targets, 0.8).mean())(average)
    np.testing.assert_allclose(moved, 0.8 + 0.2 * targets.mean(axis=0), rtol=1e-5)


def test_targets_are_held():
    moved = jax.grad(lambda targets: follow(jnp.ones(()), targets, 0.5).sum())(jnp.zeros(3))
    np.testing.assert_array_equal(moved, 0.0)
