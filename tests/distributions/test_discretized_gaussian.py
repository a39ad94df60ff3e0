import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from ctc_jax.distributions import DiscretizedGaussian
from ctc_jax.distributions.discretized_gaussian import survival


def test_survival_matches_scipy_in_both_tails():
    z = np.linspace(-9, 9, 181).astype(np.float32)
    np.testing.assert_allclose(survival(jnp.asarray(z)), stats.norm.sf(z.astype(np.float64)), rtol=5e-6)


def test_log_prob_is_the_bins_integral():
    distribution = DiscretizedGaussian(jnp.asarray([3.2, 6.0]), jnp.log(jnp.asarray([1.5, 0.4])), bits=3)
    exact = stats.norm([3.2, 6.0], [1.5, 0.4])
    levels = np.arange(8)[:, None]
    upper, lower = (
        exact.cdf(np.where(levels == 7, np.inf, levels + 0.5)),
        exact.cdf(np.where(levels == 0, -np.inf, levels - 0.5)),
    )
    found = distribution.log_prob(jnp.broadcast_to(jnp.asarray(levels), (8, 2)))
    np.testing.assert_allclose(np.exp(found), upper - lower, atol=1e-6)


def test_is_a_pytree_that_broadcasts_leading_axes():
    distribution = DiscretizedGaussian(jnp.zeros((3, 2)) + 2.0, jnp.zeros(()), bits=2)
    assert distribution.batch_shape == (3, 2)
    value = distribution.sample(jax.random.key(0), (5,))
    assert value.shape == (5, 3, 2)
    through_jit = jax.jit(lambda d: d)(distribution)
    log_prob = jax.jit(lambda of, value: of.log_prob(value))
    np.testing.assert_allclose(log_prob(through_jit, value)[1], log_prob(distribution, value[1]), rtol=1e-6)
