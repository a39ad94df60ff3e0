from functools import partial

import jax
import numpy as np
import pytest

from ctc_jax.gradients import REGISTRY, dirichlet_copula, exact, relaxed, score_function, stick_breaking
from tests.gradients.conftest import build, gradients, learned, linear, z_scores

UNBIASED = {
    "enumerate": exact.enumerate_masks,
    "local_expectation": exact.local_expectation,
    "score": score_function.score,
    "rloo-3": partial(score_function.rloo, samples=3),
    "muprop": score_function.muprop,
    "double_cv-3": partial(score_function.double_cv, samples=3),
    "disarm": score_function.disarm,
    "arms-3": partial(dirichlet_copula.arms, samples=3),
    "disarm_stick_breaking": stick_breaking.disarm_stick_breaking,
}
ONE_KIND = {"disarm": "bernoulli", "arms-3": "bernoulli", "disarm_stick_breaking": "categorical"}
IN_TEST_FLIPS = {"low_rank_local_expectation", "single_flips", "diagonal_flips"}
LEARNED = ["score_moving_average", "nvil", "rebar", "relax", "source_baseline_unbiased"]


def test_every_unbiased_estimator_is_tested():
    unbiased = {name for name, entry in REGISTRY.items() if entry.unbiased}
    assert unbiased <= {name.split("-")[0] for name in UNBIASED} | set(LEARNED) | IN_TEST_FLIPS | {"pathwise"}


@pytest.mark.parametrize("name", UNBIASED)
def test_the_mean_is_the_gradient_by_enumeration(problem, name):
    if problem.kind.name != ONE_KIND.get(name, problem.kind.name):
        pytest.skip(f"of {ONE_KIND[name]} masks")
    found, _ = gradients(problem, UNBIASED[name])
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_learned_leaves_the_mean_where_it_is(problem, name):
    bound, params, context = learned(name, problem)
    found, _ = gradients(problem, bound, show=bool(bound.entry.needs), params=params, context=context)
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5


@pytest.mark.parametrize("name", ["rebar", "local_expectation"])
def test_a_reward_that_shows_its_structure_is_a_reward(name):
    problem = build("categorical", (2, 2, 3), "values")
    bound, params, context = learned(name, problem)
    plain, _ = gradients(problem, bound, keys=4, params=params, context=context)
    shown, _ = gradients(problem, bound, keys=4, show=True, params=params, context=context)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), shown, plain)


def test_enumeration_does_not_vary(problem):
    found, values = gradients(problem, exact.enumerate_masks, keys=4)
    assert np.asarray(values).std(axis=0).max() < 1e-6
    assert np.asarray(found[0]).std(axis=0).max() < 1e-6


def test_a_biased_estimator_fails_this_test(problem):
    found, _ = gradients(problem, relaxed.straight_through)
    assert np.abs(z_scores(found, problem.exact)).max() > 10


@pytest.mark.parametrize("case", [("bernoulli", (2, 4), "values"), ("categorical", (2, 2, 3), "values")])
def test_variance_falls_with_the_rewards_spent(case):
    problem = build(*case)

    def variance(estimator, **options):
        found, _ = gradients(problem, estimator, keys=2**12, **options)
        return np.asarray(found[0]).var(axis=0).sum()

    two, four = variance(score_function.rloo), variance(score_function.rloo, samples=4)
    assert four < two < variance(score_function.score)
    assert variance(exact.local_expectation) < two


@pytest.mark.parametrize(("kind", "shape"), [("bernoulli", (2, 3)), ("categorical", (2, 2, 4))])
@pytest.mark.parametrize("estimator", [score_function.muprop, score_function.double_cv])
def test_control_variates_by_slopes_leave_no_variance_in_a_linear_reward(kind, shape, estimator):
    problem = linear(kind, shape)
    (by_logits, _), _ = gradients(problem, estimator, keys=8)
    np.testing.assert_allclose(by_logits, np.stack([problem.exact[0]] * 8), rtol=1e-4, atol=1e-5)
