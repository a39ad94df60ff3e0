import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.gradients import BERNOULLI, CATEGORICAL, GumbelRao, GumbelSoftmax, ReinMax, STGumbel, StraightThrough
from tests.gradients.conftest import Problem, build, gradient, gradients, linear, z_scores


@pytest.mark.parametrize(("kind", "shape"), [("bernoulli", (2, 3)), ("categorical", (2, 2, 4))])
def test_straight_through_is_exact_on_a_linear_reward(kind, shape):
    problem = linear(kind, shape)
    (by_logits, _), _ = gradients(problem, StraightThrough(), keys=8)
    np.testing.assert_allclose(by_logits, np.stack([problem.exact[0]] * 8), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("square", [False, True])
def test_reinmax_is_unbiased_up_to_second_order(square):
    """Heun's rule integrates a gradient that is linear along the way between two masks exactly."""
    keys = jax.random.split(jax.random.key(1), 3)
    logits, linear_part = jax.random.normal(keys[0], (1, 1, 5)), jax.random.normal(keys[1], (5,))
    form = jax.random.normal(keys[2], (5, 5)) if square else jnp.zeros((5, 5))
    weights = {"c": linear_part}

    def reward(weights, masks):
        flat = masks.reshape(len(masks), 5)
        return flat @ weights["c"] + jnp.sum((flat @ (form + form.T)) * flat, axis=-1)

    def expectation(logits, weights):
        return jax.nn.softmax(logits[0, 0]) @ reward(weights, jnp.eye(5)[:, None])

    problem = Problem(CATEGORICAL, logits, weights, reward, gradient(expectation, (0, 1))(logits, weights))
    found, _ = gradients(problem, ReinMax())
    assert np.abs(z_scores(found, problem.exact)).max() < 4.5
    if square:
        found, _ = gradients(problem, StraightThrough())
        assert np.abs(z_scores(found, problem.exact)).max() > 10


def test_without_its_correction_reinmax_is_straight_through_and_with_part_of_it_has_part_of_its_bias():
    """On a quadratic reward: of the bias that straight-through has, 1 - a is left."""
    logits = jnp.array([[[0.4, -0.3, 0.9]]])
    form = jnp.array([[1.0, 0.3, -0.8], [0.3, -1.2, 0.5], [-0.8, 0.5, 0.7]])

    def reward(masks):
        return jnp.sum((masks[:, 0] @ form) * masks[:, 0], axis=-1)

    def mean(estimator):
        """Over the three masks, each by a key that draws it, with its probability."""

        def one(key):
            by_logits = jax.grad(lambda at: jnp.sum(estimator(key, at, reward, kind=CATEGORICAL).surrogate))(logits)
            return CATEGORICAL.sample(key, logits)[0], by_logits

        masks, found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 32))
        first = [int(np.argmax(np.asarray(masks)[:, 0, 0, category])) for category in range(3)]
        return np.einsum("k,k...->...", np.asarray(jax.nn.softmax(logits[0, 0]), np.float64), np.asarray(found)[first])

    exact = gradient(lambda at: jax.nn.softmax(at[0, 0]) @ jnp.diag(form))(logits)
    plain = mean(StraightThrough())
    np.testing.assert_allclose(mean(ReinMax(second_order=0.0)), plain, rtol=1e-5, atol=1e-6)
    assert np.abs(plain - exact).max() > 0.05
    for share in (0.25, 0.5, 1.0):
        found = mean(ReinMax(second_order=share))
        np.testing.assert_allclose(found - exact, (1 - share) * (plain - exact), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_reinmax_of_a_gate_is_that_of_a_choice_of_two(temperature):
    """Of logits (phi, 0): in the mean also for a reward of third order, where neither is exact."""
    reinmax = ReinMax(temperature=temperature)
    logits = jnp.array([[0.7]])

    def cubic(masks):
        return 2.0 * masks**3 - 0.5 * masks**2

    def of_gate(logits, key):
        return jnp.sum(reinmax(key, logits, lambda mask: cubic(mask[:, 0]), kind=BERNOULLI).surrogate)

    def of_choice(logits, key):
        both = jnp.stack([logits, jnp.zeros_like(logits)], axis=-1)
        return jnp.sum(reinmax(key, both, lambda mask: cubic(mask[:, 0, 0]), kind=CATEGORICAL).surrogate)

    keys = jax.random.split(jax.random.key(2), 2**14)
    gate, choice = (
        np.asarray(jax.jit(jax.vmap(jax.grad(of), in_axes=(None, 0)))(logits, keys)) for of in (of_gate, of_choice)
    )
    error = np.sqrt((gate.var() + choice.var()) / len(keys))
    assert abs(gate.mean() - choice.mean()) < 4.5 * error
    np.testing.assert_allclose(np.unique(gate.round(5)), np.unique(choice.round(5)), atol=2e-5)


@pytest.mark.parametrize(("temperature", "share"), [(0.5, 1.0), (1.0, 1.0), (4.0, 1.0), (1.0, 0.5), (2.0, 0.0)])
def test_reinmax_is_its_formula_at_a_temperature_and_with_a_share_of_its_correction(temperature, share):
    """Liu et al. 2023, algorithm 2, written with Jacobians; at every mask that the keys draw."""
    logits = np.array([0.3, -1.2, 0.8])
    slope = jnp.array([1.5, -0.7, 0.4])

    def softmax(logits):
        return np.exp(logits) / np.exp(logits).sum()

    def jacobian(probs):
        return np.diag(probs) - np.outer(probs, probs)

    def drawn_and_gradient(key):
        def reward(logits):
            return ReinMax(temperature=temperature, second_order=share).mask(key, logits, kind=CATEGORICAL)[0, 0]

        mask, by_logits = jax.vjp(reward, jnp.asarray(logits, jnp.float32)[None, None])
        return mask, by_logits(slope)[0][0, 0]

    masks, found = jax.jit(jax.vmap(drawn_and_gradient))(jax.random.split(jax.random.key(3), 32))
    assert len(np.unique(masks, axis=0)) == 3
    for mask, by_logits in zip(np.asarray(masks), found, strict=True):
        middle = (softmax(logits / temperature) + mask) / 2
        plain, published = jacobian(softmax(logits)), 2 * jacobian(middle) - jacobian(softmax(logits)) / 2
        expected = ((1 - share) * plain + share * published) @ np.asarray(slope)
        np.testing.assert_allclose(by_logits, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("kind", "shape"), [("bernoulli", (2, 3)), ("categorical", (2, 2, 4))])
def test_both_gumbels_agree_on_a_linear_reward(kind, shape):
    """Its slope is the same at a mask and at a relaxed mask, and the noise of a key is the same."""
    problem = linear(kind, shape)
    (soft, _), _ = gradients(problem, GumbelSoftmax(temperature=0.7), keys=8)
    (hard, _), values = gradients(problem, STGumbel(temperature=0.7), keys=8)
    np.testing.assert_allclose(soft, hard, rtol=1e-4, atol=1e-6)
    every = {
        round(float(value), 4)
        for value in np.asarray(problem.reward(problem.weights, problem.kind.every(problem.logits[:1])[:, 0]))
    }
    assert {round(float(value), 4) for value in np.asarray(values).ravel()} <= every


def test_gumbel_rao_has_the_mean_of_st_gumbel_and_less_variance():
    problem = build("categorical", (2, 2, 3), "smooth")
    rao, _ = gradients(problem, GumbelRao(temperature=0.5, conditioned=8))
    plain, _ = gradients(problem, STGumbel(temperature=0.5), seed=1)
    mean = jax.tree.map(lambda a: np.asarray(a, np.float64).mean(axis=0), plain)
    # Both means are estimated: the difference has at most twice the plain one's variance.
    spread = np.concatenate([np.asarray(a, np.float64).reshape(len(a), -1).std(0) for a in jax.tree.leaves(plain)])
    difference = np.concatenate(
        [
            (np.asarray(a, np.float64).mean(0) - b).ravel()
            for a, b in zip(jax.tree.leaves(rao), jax.tree.leaves(mean), strict=True)
        ]
    )
    assert (np.abs(difference) < 4.5 * spread * np.sqrt(2 / 2**14) + 1e-5).all()
    assert np.asarray(rao[0]).var(axis=0).sum() < np.asarray(plain[0]).var(axis=0).sum()


def test_gumbel_rao_is_finite_where_a_wait_is_drawn_as_zero():
    """At this key, one of 2^23, the wait of a mask that is on is exactly 0."""
    key, logits = jax.random.key(39242), jnp.zeros((1, 8, 2))
    waits = jax.random.exponential(jax.random.split(key)[1], (16, *logits.shape))
    assert jnp.any(waits == 0)

    def reward(logits):
        return jnp.sum(GumbelRao().mask(key, logits, kind=CATEGORICAL) * jnp.arange(2.0)[None, None])

    assert jnp.isfinite(gradient(reward)(logits)).all()
