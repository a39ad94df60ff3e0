import jax
import jax.numpy as jnp
import numpy as np

from ctc_jax.gradients import BERNOULLI, CATEGORICAL, RLOO, DisARM, DisARMStickBreaking
from tests.gradients.conftest import build, gradient, gradients

KEYS = 2**14


def test_two_categories_are_disarm_in_mean_and_variance():
    logit, weights = jnp.array([[0.7, -1.5, 0.1]]), jnp.array([[1.0, -2.0, 0.5]])

    def reward(masks):
        return jnp.sum(masks * weights, axis=-1) ** 2 + jnp.prod(1.0 + masks, axis=-1)

    def binary(key):
        return jax.grad(lambda at: DisARM()(key, at, reward, kind=BERNOULLI).surrogate.sum())(logit)

    def categorical(key):
        both = jnp.stack([logit, jnp.zeros_like(logit)], axis=-1)

        def surrogate(at):
            return DisARMStickBreaking()(key, at, lambda m: reward(m[..., 0]), kind=CATEGORICAL).surrogate.sum()

        return jax.grad(surrogate)(both)[..., 0]

    a, b = (
        np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), KEYS)), np.float64)[:, 0]
        for seed, one in ((0, binary), (1, categorical))
    )
    error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / KEYS)
    np.testing.assert_array_less(abs(a.mean(axis=0) - b.mean(axis=0)), 4.5 * error)
    squares = [(of - of.mean(axis=0)) ** 2 for of in (a, b)]
    error = np.sqrt(sum(of.var(axis=0) for of in squares) / KEYS)
    np.testing.assert_array_less(abs(squares[0].mean(axis=0) - squares[1].mean(axis=0)), 4.5 * error)


def test_both_masks_have_the_probabilities_of_the_logits():
    """The value of a reward that is one category is the mean of two masks; a pair is never less spread than that."""
    logits = jnp.array([[[1.0, -1.0, 0.3, 0.3]]])

    def means(key):
        return jnp.stack(
            [DisARMStickBreaking()(key, logits, lambda m, k=k: m[:, 0, k], kind=CATEGORICAL).value[0] for k in range(4)]
        )

    found = np.asarray(jax.jit(jax.vmap(means))(jax.random.split(jax.random.key(0), KEYS)), np.float64)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert set(np.unique(found)) <= {0.0, 0.5, 1.0}
    error = found.std(axis=0) / np.sqrt(KEYS)
    np.testing.assert_array_less(abs(found.mean(axis=0) - np.asarray(jax.nn.softmax(logits[0, 0]))), 4.5 * error)


def test_a_shift_of_the_logits_changes_nothing_and_a_gradient_sums_to_zero():
    problem = build("categorical", (2, 2, 3), "values")
    (found, _), _ = gradients(problem, DisARMStickBreaking(), keys=8)
    (shifted, _), _ = gradients(problem._replace(logits=problem.logits + 3.0), DisARMStickBreaking(), keys=8)
    np.testing.assert_allclose(shifted, found, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=-1), 0.0, atol=1e-5)


def test_it_varies_less_than_independent_pairs(problem):
    if problem.kind is CATEGORICAL:
        ours, independent = (
            np.asarray(gradients(problem, estimator)[0][0]).var(axis=0).sum()
            for estimator in (DisARMStickBreaking(), RLOO())
        )
        assert ours < independent


def test_gradients_are_finite_at_logits_beyond_rounding():
    logits = jnp.array([[[-300.0, 0.0, 300.0], [0.0, 0.0, 0.0]]])
    moved = gradient(
        lambda at: DisARMStickBreaking()(
            jax.random.key(0), at, lambda m: m[:, 0, 0] + m[:, 1, 2], kind=CATEGORICAL
        ).surrogate.sum()
    )(logits)
    assert np.isfinite(np.asarray(moved)).all()
