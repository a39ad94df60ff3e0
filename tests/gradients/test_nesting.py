import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.gradients import BERNOULLI, Enumerate
from tests.gradients.conftest import Problem, gradient, gradients, learned, z_scores

LOGITS = jnp.array([[0.4, -0.8]])
WEIGHTS = {"below": jnp.array([[1.0, -1.5], [0.7, 0.5]]), "out": jnp.array([1.0, -0.6, 0.8])}


def reward(inner, key, weights, masks):
    """What lies below the upper masks: lower masks given them, then a reward of both."""

    def both(lower):
        joint = jnp.concatenate([masks * lower, masks[:, :1] + lower[:, 1:]], axis=-1)
        return jnp.tanh(joint) @ weights["out"] + masks[:, 0] * lower[:, 0] * lower[:, 1]

    return inner(key, masks @ weights["below"] - 0.3, both, kind=BERNOULLI).surrogate


def exact():
    key = jax.random.key(0)  # of nothing

    def expectation(logits, weights):
        def below(masks):
            return reward(Enumerate(), key, weights, masks)

        return Enumerate()(key, logits, below, kind=BERNOULLI).value.sum()

    return gradient(expectation, (0, 1))(LOGITS, WEIGHTS)


@pytest.mark.parametrize("outer", ["rloo", "disarm", "rebar"])
@pytest.mark.parametrize("inner", ["rloo", "double_cv"])
def test_an_estimator_whose_reward_is_an_estimate_has_the_gradient_by_enumeration(outer, inner):
    problem = Problem(BERNOULLI, LOGITS, WEIGHTS, None, exact())
    (upper, params, context), (lower, _, _) = learned(outer, problem), learned(inner, problem)

    def nested(key, logits, rest, *, kind):
        upper_key, lower_key = jax.random.split(key)
        return upper(
            upper_key, logits, lambda masks: rest((lower_key, masks)), kind=kind, params=params, context=context
        )

    of_both = problem._replace(reward=lambda weights, both: reward(lower, both[0], weights, both[1]))
    found, _ = gradients(of_both, nested)
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5
