import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions.kl import kl_divergence
from numpyro.infer.util import log_density
from scipy import stats
from scipy.special import log_softmax

from ctc_jax.distributions import CategoricalTimesContinuous

DRAWS = 2**16
LOGITS = jnp.array([[0.3, -1.0, 0.8], [2.0, 0.0, -0.5]])
LOC = jnp.array([[0.5, -2.0, 3.0], [1.0, 0.2, -0.7]])
SCALE = jnp.array([[1.0, 0.3, 2.0], [0.5, 1.5, 0.8]])


def normal(off=False, seed=None):
    logits = jnp.concatenate([LOGITS, jnp.array([[0.4], [-1.0]])], axis=-1) if off else LOGITS
    if seed is None:
        return CategoricalTimesContinuous(logits, dist.Normal(LOC, SCALE), off=off)
    keys = jax.random.split(jax.random.key(seed), 3)
    logits, loc = (jax.random.normal(key, of.shape) for key, of in zip(keys, (logits, LOC), strict=False))
    return CategoricalTimesContinuous(logits, dist.Normal(loc, jnp.exp(jax.random.normal(keys[2], LOC.shape))), off=off)


@jax.jit
def log_prob(distribution, x):
    return distribution.log_prob(x)


@jax.jit
def kl(p, q):
    return kl_divergence(p, q)


@jax.jit
def moments(distribution):
    return distribution.mean, distribution.variance, distribution.entropy()


def sample(distribution, count=DRAWS, seed=0):
    return jax.jit(lambda key: distribution.sample(key, (count,)))(jax.random.key(seed))


def assert_close_to_mean(draws, expected):
    draws = np.asarray(draws, np.float64)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - expected), 4.5 * error + 1e-6)


@pytest.mark.parametrize("off", [False, True])
def test_log_prob_is_that_of_the_mask_and_of_the_selected_value_alone(off):
    distribution = normal(off)
    log_pi = log_softmax(np.asarray(distribution.logits, np.float64), axis=-1)
    for k in range(3):
        x = np.zeros((2, 3), np.float32)
        x[:, k] = [0.7, -1.3]
        expected = log_pi[:, k] + stats.norm.logpdf([0.7, -1.3], LOC[:, k], SCALE[:, k])
        np.testing.assert_allclose(log_prob(distribution, jnp.asarray(x)), expected, rtol=1e-5)
    zero = log_prob(distribution, jnp.zeros((2, 3)))
    np.testing.assert_allclose(zero, log_pi[:, -1] if off else [-np.inf] * 2, rtol=1e-6)
    assert (log_prob(distribution, jnp.array([[1.0, 2.0, 0.0], [1.0, 1.0, 1.0]])) == -jnp.inf).all()


@pytest.mark.parametrize("off", [False, True])
def test_the_density_integrates_to_one(off):
    distribution = normal(off)
    grid = np.linspace(-30.0, 30.0, 60_001)
    grid = grid[grid != 0]
    total = np.exp(np.float64(log_prob(distribution, jnp.zeros((2, 3)))))
    for k in range(3):
        x = np.zeros((len(grid), 1, 3), np.float32)
        x[:, 0, k] = grid
        total = total + np.trapezoid(np.exp(np.float64(log_prob(distribution, jnp.asarray(x)))), grid, axis=0)
    np.testing.assert_allclose(total, 1.0, rtol=2e-4)


@pytest.mark.parametrize("off", [False, True])
def test_samples_have_the_mean_the_variance_and_the_entropy(off):
    distribution = normal(off)
    draws = sample(distribution)
    assert draws.shape == (DRAWS, 2, 3)
    assert ((draws != 0).sum(-1) <= 1).all()
    mean, variance, entropy = moments(distribution)
    assert_close_to_mean(draws, mean)
    assert_close_to_mean((np.asarray(draws) - np.asarray(mean)) ** 2, variance)
    assert distribution.entropy_is_exact
    assert_close_to_mean(-log_prob(distribution, draws), entropy)
    frequency = np.asarray((draws != 0).mean(0))
    expected = np.asarray(distribution.probs)[:, :3]
    np.testing.assert_array_less(abs(frequency - expected), 4.5 * np.sqrt(expected * (1 - expected) / DRAWS))


@pytest.mark.parametrize("off", [False, True])
def test_kl_is_the_expected_log_ratio_and_zero_to_itself(off):
    p, q = normal(off), normal(off, seed=1)
    draws = sample(p)
    assert_close_to_mean(log_prob(p, draws) - log_prob(q, draws), kl(p, q))
    np.testing.assert_allclose(kl(p, p), 0.0, atol=1e-6)


def test_kl_of_other_masks_is_refused():
    with pytest.raises(ValueError, match="the same masks"):
        kl_divergence(normal(), normal(off=True))


def test_an_entropy_without_closed_form_is_bounded_from_above():
    distribution = CategoricalTimesContinuous(LOGITS, dist.HalfNormal(SCALE))
    assert not distribution.entropy_is_exact
    # The half-normal's own entropy is 0.5 log(pi s^2 / 2) + 0.5.
    pi = np.asarray(distribution.probs, np.float64)
    exact = -(pi * np.log(pi)).sum(-1) + (pi * (0.5 * np.log(np.pi * np.asarray(SCALE) ** 2 / 2) + 0.5)).sum(-1)
    assert (distribution.entropy() > exact).all()


def test_mode_is_that_of_the_likeliest_masks_value():
    np.testing.assert_array_equal(normal().mode, [[0, 0, 3.0], [1.0, 0, 0]])
    off = CategoricalTimesContinuous(jnp.array([0.0, 0.0, 1.0]), dist.Normal(jnp.ones(2), 1.0), off=True)
    np.testing.assert_array_equal(off.mode, [0.0, 0.0])
    fixed = CategoricalTimesContinuous(jnp.array([0.0, 1.0]), dist.Delta(jnp.array([2.0, 3.0])))
    np.testing.assert_array_equal(fixed.mode, [0.0, 3.0])


def test_gradients_of_log_prob_are_finite_and_those_of_the_selected_value():
    def value(logits, loc, scale):
        x = jnp.zeros((2, 3)).at[:, 1].set(jnp.array([0.4, 1.1]))
        return CategoricalTimesContinuous(logits, dist.Gamma(jnp.exp(loc), scale)).log_prob(x).sum()

    by_logits, by_loc, by_scale = jax.jit(jax.grad(value, argnums=(0, 1, 2)))(LOGITS, LOC, SCALE)
    np.testing.assert_allclose(by_logits, np.eye(3)[1] - np.asarray(jax.nn.softmax(LOGITS)), atol=1e-6)
    for gradient in (by_loc, by_scale):
        assert np.isfinite(gradient).all()
        assert (gradient[:, 1] != 0).all()
        assert not gradient[:, ::2].any()


def test_a_value_outside_the_support_has_density_zero():
    distribution = CategoricalTimesContinuous(LOGITS[0], dist.Gamma(jnp.ones(3), 1.0))
    assert log_prob(distribution, jnp.array([0.0, -1.0, 0.0])) == -jnp.inf


def test_pathwise_gradients_reach_the_selected_value_alone():
    key = jax.random.key(3)
    mask = sample(normal(), 1, seed=3)[0] != 0

    def total(loc):
        return CategoricalTimesContinuous(LOGITS, dist.Normal(loc, SCALE)).sample(key, (1,)).sum()

    gradient = jax.jit(jax.grad(total))(LOC)
    np.testing.assert_array_equal(gradient, mask.astype(jnp.float32))


def test_intermediates_are_the_masks():
    x, (mask,) = normal(off=True).sample_with_intermediates(jax.random.key(0), (50,))
    np.testing.assert_array_equal(mask[..., :3], x != 0)
    np.testing.assert_array_equal(mask.sum(-1), 1)


@pytest.mark.parametrize("off", [False, True])
@pytest.mark.parametrize("values", [dist.Gamma(0.02, jnp.ones(3)), dist.LogNormal(-60.0, jnp.full(3, 30.0))])
def test_masks_are_told_where_values_underflow(values, off):
    law = CategoricalTimesContinuous(jnp.zeros(3 + off), values, off=off)
    x, (mask,) = jax.jit(lambda key: law.sample_with_intermediates(key, (2000,)))(jax.random.key(0))
    np.testing.assert_array_equal(x != 0, mask[..., :3])
    assert jnp.isfinite(log_prob(law, x)).all()


def test_values_that_overflow_leave_no_nan_at_other_categories():
    law = CategoricalTimesContinuous(jnp.zeros(3), dist.LogNormal(60.0, jnp.full(3, 30.0)))
    x = law.sample(jax.random.key(0), (2000,))
    assert jnp.isfinite(x).all()
    assert jnp.isfinite(log_prob(law, x)).all()


def test_a_mode_of_0_tells_its_mask():
    law = CategoricalTimesContinuous(jnp.array([0.0, 1.0]), dist.Exponential(jnp.ones(2)))
    np.testing.assert_array_equal(law.mode != 0, [False, True])
    np.testing.assert_allclose(log_prob(law, law.mode), log_softmax([0.0, 1.0])[1], rtol=1e-6)


def test_a_vector_with_a_nan_has_none():
    vectors = jnp.array([[jnp.nan, 0.0, 0.0], [jnp.nan, 1.0, 0.0], [jnp.nan] * 3, [1.0, 0.0, 0.0], [jnp.inf, 0.0, 0.0]])
    found = CategoricalTimesContinuous(LOGITS[0], dist.Normal(LOC[0], SCALE[0])).log_prob(vectors)
    np.testing.assert_array_equal(np.isnan(found), [True, True, True, False, False])
    assert found[4] == -jnp.inf


def test_integers_are_values():
    law = CategoricalTimesContinuous(np.zeros(2, int), dist.Normal(np.zeros(2), 1))
    assert log_prob(law, np.array([1, 0])) == log_prob(law, jnp.array([1.0, 0.0]))


def test_values_broadcast_over_the_batch_of_the_logits():
    distribution = CategoricalTimesContinuous(LOGITS, dist.Normal(LOC[0], jnp.ones(3)))
    draws = sample(distribution)
    assert draws.shape == (DRAWS, 2, 3)
    assert_close_to_mean(draws, distribution.mean)
    # Rows draw values of their own.
    both = (draws[:, 0, 0] != 0) & (draws[:, 1, 0] != 0)
    assert abs(np.corrcoef(draws[both][:, 0, 0], draws[both][:, 1, 0])[0, 1]) < 4.5 / np.sqrt(both.sum())


def test_in_numpyro_models_under_jit_vmap_expand_and_to_event():
    distribution = normal()
    x = sample(distribution, 4)

    def model(x):
        numpyro.sample("x", distribution.expand((4, 2)).to_event(1), obs=x)

    expected = log_prob(distribution, x).sum()
    np.testing.assert_allclose(log_density(model, (x,), {}, {})[0], expected, rtol=1e-5)
    each = jax.vmap(lambda one, x: one.log_prob(x), in_axes=(None, 0))(distribution, x)
    np.testing.assert_allclose(each.sum(), expected, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(lambda one, x: one.log_prob(x))(distribution, x).sum(), expected, rtol=1e-5)
    joint = distribution.to_event(1)
    np.testing.assert_allclose(
        kl_divergence(joint, normal(seed=1).to_event(1)), kl_divergence(distribution, normal(seed=1)).sum(), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("logits", "values", "off", "message"),
    [
        (jnp.zeros(3), dist.Normal(jnp.zeros(2), 1.0), False, "3 logits; allowed: 2, one for each value"),
        (
            jnp.zeros(2),
            dist.Normal(jnp.zeros(2), 1.0),
            True,
            "2 logits; allowed: 2, one for each value and one for the off",
        ),
        (jnp.zeros(1), dist.Normal(jnp.zeros(1), 1.0), False, "leaves no choice"),
        (jnp.zeros(2), dist.Poisson(jnp.ones(2)), False, "discrete"),
        (jnp.zeros(2), dist.Normal(jnp.zeros(2), 1.0).to_event(1), False, "event shape"),
        (jnp.zeros(2), dist.Normal(0.0, 1.0), False, "batch shape"),
    ],
)
def test_what_does_not_fit_is_refused(logits, values, off, message):
    with pytest.raises(ValueError, match=message):
        CategoricalTimesContinuous(logits, values, off=off)
