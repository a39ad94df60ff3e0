import numpy as np

from tests.documented import skeleton
from tests.gradients.conftest import build, gradients, z_scores


def test_the_mean_of_the_skeleton_is_the_gradient_by_enumeration():
    problem = build("bernoulli", (2, 4), "values")
    found, _ = gradients(problem, skeleton("estimator").ConstantBaseline(baseline=0.5))
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5
