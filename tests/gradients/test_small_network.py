import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.gradients import small_network


def test_it_is_zero_at_first_and_learns_from_there():
    params = small_network.init(jax.random.key(0), 3, 4, 2)
    features = jax.random.normal(jax.random.key(1), (5, 3))
    np.testing.assert_array_equal(small_network.apply(params, features), np.zeros((5, 2)))
    by_out = jax.grad(lambda params: small_network.apply(params, features).sum())(params)["out"]["kernel"]
    hidden = np.tanh(np.asarray(features) @ np.asarray(params["hidden"]["kernel"]))
    np.testing.assert_allclose(by_out, np.stack([hidden.sum(axis=0)] * 2, axis=1), rtol=1e-5)


def test_features_are_held_and_may_be_none():
    params = jax.tree.map(lambda leaf: leaf + 1.0, small_network.init(jax.random.key(0), 3, 4, 1))
    by_context = jax.grad(lambda context: small_network.of_input(params, context, 2).sum())(jnp.ones((2, 3)))
    np.testing.assert_array_equal(by_context, 0.0)
    without = jax.tree.map(lambda leaf: leaf + 1.0, small_network.init(jax.random.key(0), 0, 4, 1))
    np.testing.assert_allclose(small_network.of_input(without, None, 2), 4 * np.tanh(1.0) + 1.0, rtol=1e-5)
