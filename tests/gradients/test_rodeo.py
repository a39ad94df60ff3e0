import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ctc_jax.gradients import RLOO, RODEO
from tests.gradients.conftest import gradients, linear


def parameters(problem, **changes):
    return RODEO(width=8).init(jax.random.key(0), problem.logits.shape[1:], 0) | changes


def test_at_first_it_is_leave_one_out(problem):
    found, _ = gradients(problem, RODEO(samples=3), keys=8, params=parameters(problem))
    plain, _ = gradients(problem, RLOO(samples=3), keys=8)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), found, plain)


@pytest.mark.parametrize(("kind", "shape"), [("bernoulli", (2, 3)), ("categorical", (2, 2, 4))])
def test_with_a_linear_network_the_baseline_of_a_linear_reward_is_that_of_the_mean_mask(kind, shape):
    """A of r is the mean over D dimensions of what each is off its mean: D times that leaves r(p)."""
    problem, half = linear(kind, shape), 1.0 / 1.3  # of the two units, one for each sign
    hidden = {"kernel": jnp.array([[0.0, 0.0], [1.0, -1.0]]), "bias": jnp.zeros(2)}
    out = {"kernel": jnp.array([[half, 0.0], [-half, 0.0]]), "bias": jnp.zeros(2)}
    dimensions = shape[1]
    params = {"alpha": jnp.float32(dimensions), "beta": jnp.zeros(()), "network": {"hidden": hidden, "out": out}}
    keys, probs = 16, problem.kind.probs(problem.logits)
    (by_logits, _), _ = gradients(problem, RODEO(samples=3, width=2), keys=keys, params=params)

    def expected(key):
        masks = problem.kind.sample(key, problem.logits, 3)
        above = jax.vmap(lambda mask: problem.reward(problem.weights, mask - probs))(masks)
        return jnp.mean(above.reshape(*above.shape, *(1,) * (len(shape) - 1)) * (masks - probs[None]), axis=0)

    known = jax.jit(jax.vmap(expected))(jax.random.split(jax.random.key(0), keys))
    np.testing.assert_allclose(by_logits, known, rtol=1e-4, atol=1e-5)


def test_its_parameters_learn_to_vary_less_than_leave_one_out(problem):
    estimator, optimizer = RODEO(width=8), optax.adam(0.02)

    def surrogate(params, key):
        reward = lambda masks: problem.reward(problem.weights, masks)  # noqa: E731
        return estimator(key, problem.logits, reward, kind=problem.kind, params=params).surrogate.sum()

    def step(carry, key):
        params, state = carry
        each = jax.vmap(jax.grad(surrogate), in_axes=(None, 0))(params, jax.random.split(key, 16))
        updates, state = optimizer.update(jax.tree.map(lambda leaf: -leaf.mean(axis=0), each), state)
        return (optax.apply_updates(params, updates), state), None

    start = parameters(problem)
    keys = jax.random.split(jax.random.key(6), 200)
    (trained, _), _ = jax.jit(lambda at: jax.lax.scan(step, at, keys))((start, optimizer.init(start)))
    before, after = (
        np.asarray(gradients(problem, estimator, keys=2**12, params=params)[0][0]).var(axis=0).sum()
        for params in (start, trained)
    )
    assert after < 0.8 * before
