from functools import partial

import numpy as np
import pytest

from ctc_jax.gradients import exact, relaxed, score_function
from tests.gradients.conftest import gradients, linear, z_scores

UNBIASED = {
    "enumerate": exact.enumerate_masks,
    "local_expectation": exact.local_expectation,
    "score": score_function.score,
    "rloo-2": score_function.rloo,
    "rloo-4": partial(score_function.rloo, samples=4),
    "muprop": score_function.muprop,
    "double_cv-2": score_function.double_cv,
    "double_cv-4": partial(score_function.double_cv, samples=4),
}


@pytest.mark.parametrize("name", UNBIASED)
def test_the_mean_is_the_gradient_by_enumeration(problem, name):
    found, _ = gradients(problem, UNBIASED[name])
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5


def test_disarm_has_the_gradient_by_enumeration(problem):
    if problem.kind.name != "bernoulli":
        pytest.skip("of binary masks")
    found, _ = gradients(problem, score_function.disarm)
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5


def test_enumeration_does_not_vary(problem):
    found, values = gradients(problem, exact.enumerate_masks, keys=4)
    assert np.asarray(values).std(axis=0).max() < 1e-6
    assert np.asarray(found[0]).std(axis=0).max() < 1e-6


def test_a_biased_estimator_fails_this_test(problem):
    found, _ = gradients(problem, relaxed.straight_through)
    assert np.abs(z_scores(found, problem.exact)).max() > 10


def test_variance_falls_with_the_rewards_spent(problem):
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
