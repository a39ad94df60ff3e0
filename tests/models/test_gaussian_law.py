import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from ctc_jax.models.gaussian_law import GaussianLaw, of, standard
from scipy import stats

LOC, SCALE = np.array([[0.5, -1.0], [2.0, 0.0]]), np.array([[0.3, 2.0], [1.0, 0.7]])
LAW = GaussianLaw(dist.Normal(jnp.asarray(LOC, jnp.float32), jnp.asarray(SCALE, jnp.float32)))


def test_log_prob_and_entropy_are_scipys():
    values = np.array([[0.1, 0.2], [-1.0, 3.0]])
    expected = stats.norm.logpdf(values, LOC, SCALE).sum(axis=1)
    np.testing.assert_allclose(LAW.log_prob(jnp.asarray(values, jnp.float32)), expected, rtol=1e-5)
    np.testing.assert_allclose(LAW.log_prob_of(None, jnp.asarray(values, jnp.float32)), expected, rtol=1e-5)
    np.testing.assert_allclose(LAW.negative_entropy(), -stats.norm.entropy(LOC, SCALE).sum(axis=1), rtol=1e-5)


def test_kl_from_the_standard_normal_has_its_closed_form():
    expected = 0.5 * (SCALE**2 + LOC**2 - 1.0 - 2.0 * np.log(SCALE)).sum(axis=1)
    np.testing.assert_allclose(LAW.kl(standard(2, 2)), expected, rtol=1e-5)


def test_samples_have_its_moments():
    draws = jax.vmap(LAW.sample)(jax.random.split(jax.random.key(0), 2**14))
    np.testing.assert_array_less(np.abs(np.mean(draws, axis=0) - LOC), 4.5 * SCALE / 2**7)
    # The standard error of a standard deviation is sigma / sqrt(2 n).
    np.testing.assert_array_less(np.abs(np.std(draws, axis=0) - SCALE), 4.5 * SCALE / np.sqrt(2.0**15))
    np.testing.assert_array_equal(LAW.mean, LAW.values.loc)


def test_of_a_distribution_it_takes_independent_gaussians_alone():
    assert of(LAW.values.to_event(1)).values is LAW.values
    flow = dist.TransformedDistribution(LAW.values.to_event(1), dist.transforms.AffineTransform(0.0, 2.0))
    for other in (flow, LAW.values, dist.Laplace(jnp.zeros(2), 1.0).to_event(1)):
        with pytest.raises(TypeError, match=r"^a Gaussian latent: \w+; allowed: Normal, made independent$"):
            of(other)
