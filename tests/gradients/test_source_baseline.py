import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.gradients import RLOO, SparseReward
from tests.gradients.conftest import build, gradient, gradients, learned, sparse, z_scores

CASES = [("bernoulli", (2, 4), "values"), ("categorical", (2, 2, 3), "values")]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[0])
def problem(request):
    return build(*request.param)


def test_the_published_rule_is_its_formula_and_nothing_in_the_logits(problem):
    estimator, params, context = learned("source_baseline", problem, decay=0.9)
    reward = sparse(problem.weights, problem.logits)

    def surrogate(params, logits, values, context, key):
        shown = reward._replace(values=values)
        return estimator(key, logits, shown, kind=problem.kind, params=params, context=context).surrogate.sum()

    # The mask of a key, read off the gradient of a reward that is the sum of x.
    adds = SparseReward(reward.values, jnp.ones((reward.weights.shape[0], 1)), lambda hidden: hidden[:, 0])
    still = jax.tree.map(jnp.zeros_like, params)

    def mask_of(key):
        def surrogate(values):
            shown = adds._replace(values=values)
            return estimator(
                key, problem.logits, shown, kind=problem.kind, params=still, context=context
            ).surrogate.sum()

        return jax.grad(surrogate)(adds.values)

    found = gradient(surrogate, (0, 1, 2, 3))
    network, drift = params["baseline"], params["moving_averages"]["drift"]
    hidden = np.tanh(np.asarray(context @ network["hidden"]["kernel"]) + np.asarray(network["hidden"]["bias"]))
    baseline = hidden @ np.asarray(network["out"]["kernel"]) + np.asarray(network["out"]["bias"])
    baseline = baseline.reshape(problem.logits.shape)
    for seed in range(3):
        key = jax.random.key(seed)
        mask = jax.jit(mask_of)(key)
        assert set(np.unique(mask)) <= {0.0, 1.0}
        slope = gradient(lambda x: reward._replace(values=x)(jnp.ones_like(x)).sum())(mask * reward.values)
        by_params, by_logits, by_values, by_context = found(params, problem.logits, reward.values, context, key)
        np.testing.assert_array_equal(by_logits, 0.0)
        np.testing.assert_array_equal(by_context, 0.0)
        np.testing.assert_allclose(by_values, mask * (slope - baseline) + drift[None], rtol=1e-4, atol=1e-5)
        moved = drift + by_params["moving_averages"]["drift"] / len(mask)  # a mean over the batch, where this is a sum
        np.testing.assert_allclose(moved, 0.9 * drift + 0.1 * (mask * baseline).mean(axis=0), rtol=1e-4, atol=1e-5)
        left = (mask * (slope - baseline)).reshape(len(mask), -1)
        np.testing.assert_allclose(by_params["baseline"]["out"]["bias"], left.sum(axis=0), rtol=1e-4, atol=1e-5)


def test_the_published_rule_is_biased_in_the_logits_and_in_the_values_of_an_example(problem):
    estimator, params, context = learned("source_baseline", problem)
    # Omega where it comes to rest: the mean of m b over examples.
    still = {**params, "moving_averages": {"drift": jnp.zeros_like(params["moving_averages"]["drift"])}}

    def drift(key):
        def surrogate(at):
            return estimator(
                key,
                problem.logits,
                sparse(problem.weights, problem.logits),
                kind=problem.kind,
                params={**still, "moving_averages": {"drift": at}},
                context=context,
            ).surrogate.mean()

        return jax.grad(surrogate)(still["moving_averages"]["drift"]) / (1 - 0.99)

    at_rest = jax.jit(jax.vmap(drift))(jax.random.split(jax.random.key(2), 2**12)).mean(axis=0)
    params = {**params, "moving_averages": {"drift": at_rest}}
    (by_logits, by_weights), _ = gradients(problem, estimator, keys=2**12, show=True, params=params, context=context)
    assert np.abs(z_scores(by_logits, problem.exact[0])).max() > 10
    assert np.abs(z_scores(by_weights["values"], problem.exact[1]["values"])).max() > 10
    # Summed over the batch it is right: there omega restores what b took.
    summed = np.asarray(by_weights["values"], np.float64).sum(axis=1)
    spread = summed.std(axis=0) + len(problem.logits) * np.abs(at_rest)
    off = abs(summed.mean(axis=0) - np.asarray(problem.exact[1]["values"]).sum(axis=0))
    np.testing.assert_array_less(off, 4.5 * np.sqrt(2) * spread / np.sqrt(2**12))


def test_the_unbiased_form_has_the_logits_of_rloo_and_varies_less_in_the_values_with_a_baseline_that_fits(problem):
    estimator, params, context = learned("source_baseline_unbiased", problem)
    plain, _ = gradients(problem, RLOO(), keys=2**12)
    with_baseline, _ = gradients(problem, estimator, keys=2**12, show=True, params=params, context=context)
    np.testing.assert_allclose(with_baseline[0], plain[0], rtol=1e-4, atol=1e-5)
    # The mean of delta where a mask is on, E[m delta] / p, as the network's bias: one input for all.
    on = np.asarray(problem.exact[1]["values"] / problem.kind.probs(problem.logits))[:1]
    one = problem._replace(
        logits=problem.logits[:1], weights={**problem.weights, "values": problem.weights["values"][:1]}
    )
    fitted = jax.tree.map(jnp.zeros_like, params)
    fitted["baseline"]["out"]["bias"] = jnp.asarray(on.ravel())
    plain, _ = gradients(one, RLOO(), keys=2**12)
    less, _ = gradients(one, estimator, keys=2**12, show=True, params=fitted, context=context[:1])
    ratios = less[1]["values"].var(axis=0) / plain[1]["values"].var(axis=0)
    assert ratios.max() < 1.05
    assert np.median(ratios) < 0.7
