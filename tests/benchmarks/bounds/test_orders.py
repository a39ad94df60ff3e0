import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.bounds.orders import DATA, EVERY, ORDERS, exact, init, sampled, trained


def test_the_data_are_a_distribution():
    np.testing.assert_allclose(DATA.sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_the_mean_of_draws_is_the_bound_by_sums_and_lies_below_the_likelihood(order):
    params = jax.tree.map(lambda leaf: 1.5 * leaf, init(order, jax.random.key(1)))
    found = jax.jit(lambda: exact(order, params))()
    x = jnp.asarray(EVERY["x"])
    draws = jax.jit(jax.vmap(lambda key: DATA @ sampled(order, params, key, x)))(
        jax.random.split(jax.random.key(2), 2**10)
    )
    error = np.std(draws) / 2**5
    assert abs(np.mean(draws) - found["elbo_nats"]) < 4.5 * error
    gap = found["log p(x)_nats"] - found["elbo_nats"]
    assert gap > 0.001
    assert 0.0 <= found["information_nats/z2"] <= found["kl_nats/z2"] + 1e-6


def test_training_climbs_the_bound():
    start = exact("bottom_up", init("bottom_up", jax.random.key(0)))["elbo_nats"]
    for by_draws in (False, True):
        (found,) = trained("bottom_up", 40, 1, by_draws=by_draws)
        assert found["elbo_nats"] > start + 0.5
