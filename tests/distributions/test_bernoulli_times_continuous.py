import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions.kl import kl_divergence
from numpyro.infer.util import log_density
from scipy import stats
from scipy.special import expit, log_expit

from ctc_jax.distributions import BernoulliTimesContinuous

DRAWS = 2**16
LOGITS = jnp.array([[0.3, -1.0, 0.8], [2.0, 0.0, -0.5]])
LOC = jnp.array([[0.5, -2.0, 3.0], [1.0, 0.2, -0.7]])
SCALE = jnp.array([[1.0, 0.3, 2.0], [0.5, 1.5, 0.8]])
HURDLE = BernoulliTimesContinuous(LOGITS, dist.Normal(LOC, SCALE))
OTHER = BernoulliTimesContinuous(-LOGITS, dist.Normal(LOC - 0.5, 2 * SCALE))


@pytest.fixture(scope="module")
def draws():
    return jax.jit(lambda key: HURDLE.sample(key, (DRAWS,)))(jax.random.key(0))


def assert_close_to_mean(draws, expected):
    draws = np.asarray(draws, np.float64)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - expected), 4.5 * error + 1e-6)


def test_log_prob_is_the_hurdles():
    np.testing.assert_allclose(HURDLE.log_prob(jnp.zeros((2, 3))), log_expit(-np.asarray(LOGITS)), rtol=1e-5)
    x = np.array([[0.7, -1.3, 2.0], [-0.1, 5.0, 1.0]], np.float32)
    expected = log_expit(np.asarray(LOGITS)) + stats.norm.logpdf(x, LOC, SCALE)
    np.testing.assert_allclose(HURDLE.log_prob(jnp.asarray(x)), expected, rtol=1e-5)


def test_samples_have_the_mean_the_variance_the_entropy_and_the_frequency(draws):
    assert_close_to_mean(draws, HURDLE.mean)
    assert_close_to_mean((np.asarray(draws) - np.asarray(HURDLE.mean)) ** 2, HURDLE.variance)
    assert_close_to_mean(-HURDLE.log_prob(draws), HURDLE.entropy())
    assert_close_to_mean(draws != 0, expit(np.asarray(LOGITS)))
    assert HURDLE.entropy_is_exact


def test_kl_is_the_expected_log_ratio_and_zero_to_itself(draws):
    assert_close_to_mean(HURDLE.log_prob(draws) - OTHER.log_prob(draws), kl_divergence(HURDLE, OTHER))
    np.testing.assert_allclose(kl_divergence(HURDLE, HURDLE), 0.0, atol=1e-6)


def test_mode_is_zero_where_the_gate_is_more_likely_closed():
    np.testing.assert_array_equal(HURDLE.mode, np.where(LOGITS > 0, LOC, 0.0))


def test_closed_gates_leave_no_gradient_and_no_nan():
    def value(loc):
        return BernoulliTimesContinuous(LOGITS, dist.LogNormal(loc, SCALE)).log_prob(x).sum()

    x = jnp.array([[0.0, 1.0, 0.0], [2.0, 0.0, 0.5]])
    gradient = jax.jit(jax.grad(value))(LOC)
    np.testing.assert_array_equal(gradient != 0, x != 0)
    assert np.isfinite(gradient).all()


def test_intermediates_are_the_gates():
    x, (gate,) = HURDLE.sample_with_intermediates(jax.random.key(0), (50,))
    np.testing.assert_array_equal(gate, x != 0)


@pytest.mark.parametrize("values", [dist.Gamma(0.02, 1.0), dist.LogNormal(-60.0, 30.0), dist.LogNormal(60.0, 30.0)])
def test_open_gates_stay_open_where_values_underflow_or_overflow(values):
    law = BernoulliTimesContinuous(LOGITS, values)
    x, (gate,) = law.sample_with_intermediates(jax.random.key(0), (2000,))
    np.testing.assert_array_equal(x != 0, gate)
    assert jnp.isfinite(law.log_prob(x)).all()
    assert jnp.isfinite(BernoulliTimesContinuous(9.0, values).log_prob(BernoulliTimesContinuous(9.0, values).mode))


def test_nan_is_nan_and_infinity_has_no_density():
    np.testing.assert_array_equal(HURDLE.log_prob(jnp.full((2, 3), jnp.nan)), np.full((2, 3), np.nan))
    for values in (dist.Normal(0.0, 1.0), dist.Gamma(3.0, 1.0)):
        assert BernoulliTimesContinuous(0.0, values).log_prob(jnp.inf) == -jnp.inf


def test_pythons_own_numbers_are_parameters_and_values():
    plain, arrays = (BernoulliTimesContinuous(logit, dist.Normal(0.0, 1.0)) for logit in (1, jnp.float32(1.0)))
    for x in (0, 0.0, 0.5, 2):
        assert plain.log_prob(x) == arrays.log_prob(jnp.float32(x))
    assert plain.sample(jax.random.key(0)).shape == plain.mean.shape == plain.mode.shape == plain.entropy().shape == ()


def test_in_numpyro_models_under_vmap_expand_and_to_event(draws):
    x = draws[:4]

    def model(x):
        numpyro.sample("x", HURDLE.expand((4, 2, 3)).to_event(2), obs=x)

    expected = HURDLE.log_prob(x).sum()
    np.testing.assert_allclose(log_density(model, (x,), {}, {})[0], expected, rtol=1e-5)
    each = jax.jit(jax.vmap(lambda one, x: one.log_prob(x), in_axes=(None, 0)))(HURDLE, x)
    np.testing.assert_allclose(each.sum(), expected, rtol=1e-5)
    np.testing.assert_allclose(
        kl_divergence(HURDLE.to_event(2), OTHER.to_event(2)), kl_divergence(HURDLE, OTHER).sum(), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [(dist.Poisson(jnp.ones(2)), "discrete"), (dist.Normal(jnp.zeros(2), jnp.ones(2)).to_event(1), "event shape")],
)
def test_what_does_not_fit_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        BernoulliTimesContinuous(jnp.zeros(2), values)
