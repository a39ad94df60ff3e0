from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions.mask_kind import KINDS
from ctc_jax.gradients import (
    RLOO,
    DiagonalFlips,
    Enumerate,
    LocalExpectation,
    LowRankLocalExpectation,
    SingleFlips,
    SparseReward,
)
from ctc_jax.gradients.flips import draw, sampled_mask
from ctc_jax.options import OptionError
from tests.gradients.conftest import gradient, z_scores

SHAPES = {"bernoulli": (2, 4), "categorical": (2, 2, 3)}
LOW_RANK, SINGLE, DIAGONAL = LowRankLocalExpectation(), SingleFlips(samples=1), DiagonalFlips(samples=1)
UNBIASED = {
    "low_rank": LOW_RANK,
    "single-2": SingleFlips(samples=1, flips=2),
    "single-3-2": SingleFlips(samples=2, flips=3),
    "diagonal-1": DiagonalFlips(samples=1, flips=1, control_values=False),
    "diagonal-4-2": DiagonalFlips(samples=2, flips=4),
    "diagonal-values": DIAGONAL,
}


def network(outer, hidden):
    """No hidden unit acts alone, and slopes jump."""
    bent = jnp.where(hidden > 0, hidden, 0.3 * hidden)
    return jnp.tanh(bent) @ outer + 0.3 * jnp.sum(bent, axis=-1) ** 2


def pixels(outer, hidden):
    """Each hidden unit the logit of a pixel."""
    return jnp.sum(hidden * (outer > 0)[None] - jax.nn.softplus(hidden), axis=-1)


def quadratic(outer, hidden):
    """Of diagonal curvature."""
    return hidden @ outer - (hidden**2) @ jnp.abs(outer)


def round_quadratic(outer, hidden):
    """Of one curvature."""
    return hidden @ outer - jnp.sum(hidden**2, axis=-1)


def closed_over(kind, shape):
    """Logits, and the values, weights and parameters of the rest that a reward closes over."""
    keys = jax.random.split(jax.random.key(len(kind)), 4)
    size = int(np.prod(shape[1:]))
    values = 1.0 + jax.random.normal(keys[1], shape)
    return jax.random.normal(keys[0], shape), (
        values,
        jax.random.normal(keys[2], (size, 3)),
        jax.random.normal(keys[3], (3,)),
    )


def without_weight(drawn):
    """Flips that count for nothing."""
    return drawn._replace(weight=jnp.zeros_like(drawn.weight))


def one_gradient(name, estimator, rest, shape):
    """Of a key: the gradient in logits and in what the reward closes over, the values, and the surrogates."""
    logits, inside = closed_over(name, shape)

    def surrogate(logits, inside, key):
        reward = SparseReward(inside[0], inside[1], partial(rest, inside[2]))
        estimate = estimator(key, logits, reward, kind=KINDS[name])
        return estimate.surrogate.sum(), (estimate.value, estimate.surrogate)

    return lambda key: jax.grad(surrogate, argnums=(0, 1), has_aux=True)(logits, inside, key)


@cache
def enumerated(name, rest, shape):
    """The exact gradient, from the sum over masks."""
    return jax.jit(one_gradient(name, Enumerate(), rest, shape))(jax.random.key(0))[0]


def gradients(name, estimator, rest, keys, shape=None):
    """One gradient a key, and the exact one."""
    shape = shape or SHAPES[name]
    one = jax.jit(jax.vmap(one_gradient(name, estimator, rest, shape)))
    found, (values, surrogates) = one(jax.random.split(jax.random.key(0), keys))
    np.testing.assert_allclose(surrogates, values, rtol=1e-5, atol=1e-5)
    return found, enumerated(name, rest, shape)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "rest"), [*((name, network) for name in UNBIASED), ("diagonal-values", pixels), ("single-2", pixels)]
)
def test_the_mean_is_the_gradient_by_enumeration(name, rest, kind):
    found, by_enumeration = gradients(kind, UNBIASED[name], rest, 2**14)
    assert np.abs(z_scores(found, by_enumeration)).max() < 4.5


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_sampled_remainders_it_fails_this_test(kind, monkeypatch):
    """Slopes and a fitted curvature alone are biased."""
    monkeypatch.setattr("ctc_jax.gradients.sampled_flips.draw", lambda *of: without_weight(draw(*of)))
    found, by_enumeration = gradients(kind, SINGLE, network, 2**14)
    assert np.abs(z_scores(found, by_enumeration)).max() > 10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_once", [0, 1, 3])
def test_low_rank_local_expectation_is_local_expectation_key_by_key(kind, at_once):
    low_rank = LowRankLocalExpectation(dimensions_at_once=at_once)
    found, _ = gradients(kind, low_rank, network, 8)
    expected, _ = gradients(kind, LocalExpectation(), network, 8)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("estimator", "rest"),
    [(DIAGONAL, quadratic), (DIAGONAL, round_quadratic), (SINGLE, lambda outer, h: h @ outer)],
    ids=["diagonal-quadratic", "diagonal-round", "single-linear"],
)
def test_what_is_summed_in_closed_form_does_not_vary(kind, estimator, rest):
    (by_logits, _), by_enumeration = gradients(kind, estimator, rest, 8)
    np.testing.assert_allclose(by_logits, np.stack([by_enumeration[0]] * 8), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_controlled_values_do_not_vary_either_in_a_quadratic_rest(kind):
    found, by_enumeration = gradients(kind, DIAGONAL, quadratic, 8)
    np.testing.assert_allclose(found[1][0], np.stack([by_enumeration[1][0]] * 8), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "shape", "estimator", "rest"),
    [
        ("bernoulli", (2, 1), SINGLE, network),
        ("bernoulli", (2, 1), DIAGONAL, network),
        ("bernoulli", (2, 1), LOW_RANK, network),
        ("categorical", (2, 1, 4), LOW_RANK, network),
        ("categorical", (2, 1, 4), SINGLE, round_quadratic),
    ],
)
def test_one_dimension_leaves_nothing_to_vary(kind, shape, estimator, rest):
    (by_logits, _), by_enumeration = gradients(kind, estimator, rest, 8, shape)
    np.testing.assert_allclose(by_logits, np.stack([by_enumeration[0]] * 8), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", [LOW_RANK, SINGLE, DiagonalFlips(samples=1, control_values=False)])
def test_values_and_decoder_have_the_pathwise_gradient_of_the_mask_and_nothing_else(kind, estimator):
    """Of one of the masks there are, for each example: no control variate leaks."""
    logits, inside = closed_over(kind, SHAPES[kind])
    (_, (by_values, _, _)), _ = gradients(kind, estimator, network, 4)

    def at(values, mask):
        return SparseReward(values, inside[1], partial(network, inside[2]))(mask).sum()

    every = jax.jit(jax.vmap(jax.grad(at), in_axes=(None, 0)))(inside[0], KINDS[kind].every(logits))
    for found in by_values:
        for example in range(2):
            close = np.isclose(every[:, example], found[example], rtol=1e-4, atol=1e-4)
            assert close.reshape(len(close), -1).all(axis=-1).any()


def test_flips_beat_two_leave_one_out_samples_where_dimensions_are_many():
    """Forty Bernoulli latents: the remainder of a flip is small beside what all the other dimensions do."""

    def variance(estimator):
        (by_logits, _), _ = gradients_of_many(estimator)
        return np.asarray(by_logits).var(axis=0).sum()

    def gradients_of_many(estimator):
        keys = jax.random.split(jax.random.key(4), 3)
        weights, values = jax.random.normal(keys[0], (40, 6)), jax.random.normal(keys[1], (1, 40))
        logits, outer = jax.random.normal(keys[2], (1, 40)), jnp.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0])

        def surrogate(logits, key):
            reward = SparseReward(values, weights / 4, partial(pixels, outer))
            return estimator(key, logits, reward, kind=KINDS["bernoulli"]).surrogate.sum()

        found = jax.jit(jax.vmap(jax.grad(surrogate), in_axes=(None, 0)))(
            logits, jax.random.split(jax.random.key(0), 2**11)
        )
        return (found, None), None

    local = variance(LOW_RANK)
    assert local < variance(SINGLE) < 0.1 * variance(RLOO())
    assert variance(DIAGONAL) < 0.2 * local


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", [LOW_RANK, SINGLE, DIAGONAL])
def test_gradients_stay_finite_for_certain_masks_and_values_of_zero(kind, estimator):
    logits, inside = closed_over(kind, SHAPES[kind])

    def surrogate(logits, values):
        reward = SparseReward(values, inside[1], partial(network, inside[2]))
        return estimator(jax.random.key(0), logits, reward, kind=KINDS[kind]).surrogate.sum()

    compute = gradient(surrogate, (0, 1))
    for scale in (0.0, 100.0):
        found = compute(scale * logits, inside[0] * (scale > 0))
        assert all(np.isfinite(leaf).all() for leaf in found)


@pytest.mark.parametrize("estimator", [LOW_RANK, SINGLE, DIAGONAL])
def test_a_reward_without_its_linear_layer_is_refused(estimator):
    name = type(estimator).__name__
    with pytest.raises(TypeError, match=rf"^{name}: reward is a function; allowed: a SparseReward$"):
        estimator(jax.random.key(0), jnp.zeros((1, 2)), lambda mask: mask.sum(-1), kind=KINDS["bernoulli"])


@pytest.mark.parametrize(("estimator", "flips"), [(SingleFlips, 1), (DiagonalFlips, 0)])
def test_too_few_flips_are_refused(estimator, flips):
    with pytest.raises(OptionError, match=rf"^flips is {flips}; allowed: a whole number, {flips + 1} or more$"):
        estimator(flips=flips)


@pytest.mark.parametrize("kind", KINDS)
def test_moves_lead_from_the_mask_to_its_flip(kind):
    """By the reward's own hidden vectors; the weights count each flip once in the mean."""
    logits, inside = closed_over(kind, SHAPES[kind])
    reward = SparseReward(inside[0], inside[1], lambda hidden: hidden[:, 0])
    mask = KINDS[kind].sample(jax.random.key(1), logits)[0]
    sampled = sampled_mask(mask, KINDS[kind].probs(logits), reward, KINDS[kind])
    drawn = draw(jax.random.key(2), sampled, sampled.effect * sampled.squared_lengths(), 2**14)
    lengths = jnp.sum(drawn.moves**2, axis=-1)
    np.testing.assert_allclose(drawn.of(sampled.squared_lengths()), lengths, rtol=1e-3, atol=1e-4)
    flat, categories = np.asarray(mask).reshape(2, -1), logits.shape[-1]
    for flip in range(16):
        flipped = flat.copy()
        for example, flip_index in enumerate(np.asarray(drawn.index[:, flip])):
            if kind == "categorical":
                first = flip_index // categories * categories
                flipped[example, first : first + categories] = 0.0
            flipped[example, flip_index] = 1.0 - flat[example, flip_index]
        moved = reward.hidden(jnp.asarray(flipped).reshape(mask.shape)) - reward.hidden(mask)
        np.testing.assert_allclose(drawn.moves[:, flip], moved, rtol=1e-4, atol=1e-5)
    for example in range(2):
        counts = np.bincount(drawn.index[example], weights=np.abs(drawn.weight[example]), minlength=flat.shape[1])
        # A category's count is binomial; one of probability q has weight 1 / q.
        weights = np.asarray(np.abs(drawn.weight[example]))[np.unique(drawn.index[example], return_index=True)[1]]
        possible = np.asarray(jnp.abs(sampled.sign)).reshape(2, -1)[example] > 0
        np.testing.assert_array_less(np.abs(counts[possible] - 1.0), 4.5 * np.sqrt(weights) + 1e-6)
        assert (counts[~possible] == 0).all()
