import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from ctc_jax.objectives import importance_weighted_bound, log_weights

SAMPLES = 4096
GRID = np.linspace(-9.0, 9.0, 1801)


@pytest.fixture(scope="module")
def weights(one_latent, params, binary_images):
    """log p(x, z) - log q(z|x), [images, samples]."""
    keys = jax.random.split(jax.random.key(0), (16, SAMPLES))
    weights = jax.jit(log_weights, static_argnums=0)(one_latent, params, keys, binary_images)
    return np.asarray(weights, np.float64)


@pytest.fixture(scope="module")
def log_evidence(params, binary_images):
    """log p(x) of each image, by quadrature."""
    image = np.asarray(binary_images.image).reshape(16, 1, 4)
    logits = GRID[:, None] * np.asarray(params["a"]).reshape(4) + float(params["c"])
    log_likelihood = stats.bernoulli.logpmf(image, 1 / (1 + np.exp(-logits))).sum(axis=-1)
    return logsumexp(log_likelihood + stats.norm.logpdf(GRID), axis=1, b=GRID[1] - GRID[0])


def bound_of(weights, samples):
    """Bounds with `samples` samples, [images, repetitions]."""
    groups = jnp.asarray(weights.reshape(16, -1, samples), jnp.float32)
    return np.asarray(importance_weighted_bound(groups), np.float64)


def test_the_mean_weight_is_the_evidence(weights, log_evidence):
    """The average of p(x, z) / q(z|x) is unbiased; the log of many is log p(x) within Monte Carlo error."""
    relative = np.exp(weights - log_evidence[:, None])
    error = relative.std(axis=1) / np.sqrt(SAMPLES)
    bound = np.asarray(importance_weighted_bound(jnp.asarray(weights, jnp.float32)))
    np.testing.assert_array_less(np.abs(bound - log_evidence), 4.5 * error + 1e-4)


def test_one_sample_gives_the_elbo(weights, one_latent, params, binary_images):
    terms = jax.jit(jax.vmap(lambda key: one_latent.bound(params, key, binary_images)))(
        jax.random.split(jax.random.key(1), SAMPLES)
    )
    elbo = np.asarray(terms.log_likelihood - terms.kl["z"], np.float64)
    bound = bound_of(weights, 1)
    np.testing.assert_allclose(bound, weights, rtol=1e-6)
    error = np.hypot(bound.std(axis=1), elbo.std(axis=0)) / np.sqrt(SAMPLES)
    np.testing.assert_array_less(np.abs(bound.mean(axis=1) - elbo.mean(axis=0)), 4.5 * error)


def test_the_bound_rises_with_samples_and_stays_below_the_evidence(weights, log_evidence):
    bounds = [bound_of(weights, samples).mean() for samples in (1, 4, 16, 64)]
    errors = [bound_of(weights, k).mean(axis=0).std() / np.sqrt(SAMPLES / k) for k in (1, 4, 16, 64)]
    # The same weights serve every bound, so that Jensen's inequality holds sample by sample, without noise.
    assert all(np.diff(bounds) > 0)
    assert all(bound < log_evidence.mean() + 4.5 * error for bound, error in zip(bounds, errors, strict=True))
    assert bounds[0] < log_evidence.mean() - 4.5 * errors[0]


def test_the_bound_is_exact_for_weights_far_outside_the_range_of_exp():
    weights = jnp.asarray([[-3000.0, -3000.0 + np.log(3.0)], [500.0, 500.0]])
    np.testing.assert_allclose(importance_weighted_bound(weights), [-3000.0 + np.log(2.0), 500.0], rtol=1e-7)


def test_leading_axes_are_kept():
    weights = jax.random.normal(jax.random.key(0), (2, 3, 5))
    expected = np.log(np.exp(np.asarray(weights, np.float64)).mean(axis=-1))
    np.testing.assert_allclose(importance_weighted_bound(weights), expected, rtol=1e-5, atol=1e-6)


def test_a_weight_is_that_of_its_own_image_and_key(one_latent, params, binary_images):
    """Neither the other images of the batch nor the other samples enter it."""
    compute = jax.jit(log_weights, static_argnums=0)
    keys = jax.random.split(jax.random.key(2), (16, 3))
    together = np.asarray(compute(one_latent, params, keys, binary_images))
    order = np.array([7, 2, 11])
    chosen = jax.tree.map(lambda leaf: leaf[order], binary_images)
    np.testing.assert_allclose(
        compute(one_latent, params, keys[order][:, 1:2], chosen), together[order, 1:2], rtol=1e-6
    )
    single = jax.tree.map(lambda leaf: leaf[7:8], binary_images)

    @jax.jit
    def weight(key):
        trace = one_latent.infer(params, key, single)
        return one_latent.joint(params, single, trace.latents).total - trace.sites["z"].log_q

    expected = weight(keys[7, 1])
    np.testing.assert_allclose(together[7, 1], expected[0], rtol=1e-6)
