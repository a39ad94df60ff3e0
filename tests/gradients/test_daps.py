import itertools

import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.gradients import DAPS, RLOO
from tests.gradients.conftest import build, gradient, learned, z_scores


def weights_of(rewards, log_masks, **options):
    """The weight of each sample: the gradient in its log-probability."""
    return gradient(lambda at: DAPS(**options).combine(rewards, at).surrogate.sum())(log_masks)


def draws():
    rewards, log_masks = jax.random.normal(jax.random.key(0), (2, 4, 3))
    return rewards, log_masks


def test_weights_are_those_of_the_formula():
    rewards, log_masks = draws()
    exponents = np.exp((np.asarray(rewards, np.float64) - 0.5 * np.asarray(log_masks)) / 2.5)
    found = weights_of(rewards, log_masks, trust_region=2.0, entropy=0.5)
    np.testing.assert_allclose(found, exponents / exponents.sum(axis=0), rtol=1e-5)


def test_a_policy_that_is_best_already_is_left_alone():
    _, log_masks = draws()
    np.testing.assert_allclose(weights_of(2.0 * log_masks + 3.0, log_masks, entropy=2.0), 0.25, rtol=1e-5)


def test_a_wide_trust_region_tends_to_a_leave_one_out_gradient():
    rewards, log_masks = draws()
    found = 1e3 * (weights_of(rewards, log_masks, trust_region=1e3) - 0.25)
    loo = gradient(lambda at: RLOO().combine(rewards, at).surrogate.sum())(log_masks)
    np.testing.assert_allclose(found, loo * 3 / 4, atol=5e-3)


def test_its_mean_is_that_over_all_pairs_of_masks_and_not_the_gradient_of_the_reward():
    problem = build("categorical", (1, 1, 5), "smooth")
    every = problem.kind.every(problem.logits)
    rewards = jax.vmap(lambda mask: problem.reward(problem.weights, mask))(every)

    def expected(logits):
        log_q = jax.vmap(lambda mask: problem.kind.total_log_prob(logits, mask))(every)
        probs = jax.lax.stop_gradient(jnp.exp(log_q))
        return sum(
            (probs[i] * probs[j] * DAPS().combine(rewards[jnp.array([i, j])], log_q[jnp.array([i, j])]).surrogate).sum()
            for i, j in itertools.product(range(5), repeat=2)
        )

    exact = gradient(expected)(problem.logits)
    estimator, _, _ = learned("daps", problem)

    def one(key):
        def surrogate(logits):
            return estimator(
                key, logits, lambda masks: problem.reward(problem.weights, masks), kind=problem.kind
            ).surrogate.sum()

        return jax.grad(surrogate)(problem.logits)

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 2**14))
    assert np.abs(z_scores(found, exact)).max() < 4.5
    assert np.abs(z_scores(found, problem.exact[0])).max() > 10
