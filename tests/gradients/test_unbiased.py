import jax
import numpy as np
import pytest

from ctc_jax.gradients import (
    ARMS,
    CARMS,
    REGISTRY,
    RLOO,
    DisARM,
    DisARMStickBreaking,
    DoubleCV,
    Enumerate,
    LocalExpectation,
    MuProp,
    ScoreFunction,
    StraightThrough,
)
from tests.gradients.conftest import build, gradients, learned, linear, z_scores

UNBIASED = {
    "enumerate": Enumerate(),
    "local_expectation": LocalExpectation(),
    "score": ScoreFunction(),
    "rloo": RLOO(samples=3),
    "muprop": MuProp(),
    "double_cv": DoubleCV(samples=3),
    "disarm": DisARM(),
    "arms": ARMS(samples=3),
    "disarm_stick_breaking": DisARMStickBreaking(),
    "carms": CARMS(samples=3),
}
IN_TEST_FLIPS = {"low_rank_local_expectation", "single_flips", "diagonal_flips"}
LEARNED = ["score_moving_average", "nvil", "rodeo", "rebar", "relax", "source_baseline_unbiased"]


def test_every_unbiased_estimator_is_tested():
    unbiased = {name for name, part in REGISTRY.items() if part.unbiased}
    assert unbiased == set(UNBIASED) | set(LEARNED) | IN_TEST_FLIPS | {"pathwise"}


@pytest.mark.parametrize("name", UNBIASED)
def test_the_mean_is_the_gradient_by_enumeration(problem, name):
    if problem.kind not in UNBIASED[name].kinds:
        pytest.skip("of the other kind of masks")
    found, _ = gradients(problem, UNBIASED[name])
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_learned_leaves_the_mean_where_it_is(problem, name):
    estimator, params, context = learned(name, problem)
    found, _ = gradients(problem, estimator, show=estimator.needs_sparse_reward, params=params, context=context)
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5


@pytest.mark.parametrize("name", ["rebar", "local_expectation"])
def test_a_reward_that_shows_its_structure_is_a_reward(name):
    problem = build("categorical", (2, 2, 3), "values")
    estimator, params, context = learned(name, problem)
    plain, _ = gradients(problem, estimator, keys=4, params=params, context=context)
    shown, _ = gradients(problem, estimator, keys=4, show=True, params=params, context=context)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), shown, plain)


def test_enumeration_does_not_vary(problem):
    found, values = gradients(problem, Enumerate(), keys=4)
    assert np.asarray(values).std(axis=0).max() < 1e-6
    assert np.asarray(found[0]).std(axis=0).max() < 1e-6


def test_a_biased_estimator_fails_this_test(problem):
    found, _ = gradients(problem, StraightThrough())
    assert np.abs(z_scores(found, problem.exact)).max() > 10


@pytest.mark.parametrize("case", [("bernoulli", (2, 4), "values"), ("categorical", (2, 2, 3), "values")])
def test_variance_falls_with_the_rewards_spent(case):
    problem = build(*case)

    def variance(estimator):
        found, _ = gradients(problem, estimator, keys=2**12)
        return np.asarray(found[0]).var(axis=0).sum()

    two, four = variance(RLOO()), variance(RLOO(samples=4))
    assert four < two < variance(ScoreFunction())
    assert variance(LocalExpectation()) < two


@pytest.mark.parametrize(("kind", "shape"), [("bernoulli", (2, 3)), ("categorical", (2, 2, 4))])
@pytest.mark.parametrize("estimator", [MuProp(), DoubleCV()])
def test_control_variates_by_slopes_leave_no_variance_in_a_linear_reward(kind, shape, estimator):
    problem = linear(kind, shape)
    (by_logits, _), _ = gradients(problem, estimator, keys=8)
    np.testing.assert_allclose(by_logits, np.stack([problem.exact[0]] * 8), rtol=1e-4, atol=1e-5)
