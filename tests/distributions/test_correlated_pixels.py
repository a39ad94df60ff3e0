import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ctc_jax.distributions import CorrelatedPixels, DiscretizedGaussian, DiscretizedLogistic
from ctc_jax.distributions.value_family import log_scale_limits
from ctc_jax.models.factor_posterior import FactorPosterior

FAMILIES = {"gaussian": DiscretizedGaussian, "logistic": DiscretizedLogistic}
BATCH, SIDE, RANK, SCALE, DRAWS = 3, 4, 2, 6.0, 4000
PIXELS = SIDE**2


def pixels_of(loc, log_scale, loadings, family):
    return CorrelatedPixels(loc, log_scale, loadings, bits=8, family=FAMILIES[family])


@pytest.fixture(scope="module")
def inside():
    """Locations, loadings and images far from the end levels, whose bins are narrow."""
    random = np.random.default_rng(0)
    loc = random.uniform(90, 160, (BATCH, SIDE, SIDE, 1))
    loadings = random.normal(0, 10, (BATCH, SIDE, SIDE, RANK, 1))
    moved = loc + np.einsum("bhwrc,br->bhwc", loadings, random.standard_normal((BATCH, RANK)))
    image = np.rint(moved + SCALE * random.standard_normal(loc.shape))
    assert image.min() > 10
    assert image.max() < 245
    return jnp.asarray(loc, jnp.float32), jnp.asarray(loadings, jnp.float32), jnp.asarray(image, jnp.int32)


@jax.jit
def covariance_of(log_scale, loadings):
    """Of pixels without bins, `[batch, pixels, pixels]`."""
    loadings = loadings.reshape(BATCH, PIXELS, RANK)
    return jnp.einsum("bpr,bqr->bpq", loadings, loadings) + jnp.exp(2 * log_scale) * jnp.eye(PIXELS)[None]


def bound(key, loc, log_scale, loadings, image, family):
    """log p(x given a draw) less the KL, and the log weight of that draw."""
    pixels = pixels_of(loc, jnp.broadcast_to(log_scale, loc.shape), loadings, family)
    mean, cholesky = pixels.posterior(image)
    drawn = FactorPosterior(cholesky)(key, mean, None)
    log_likelihood = pixels.given(drawn.latent).log_prob(image)
    log_prior = jnp.sum(-0.5 * drawn.latent**2 - 0.5 * jnp.log(2 * jnp.pi), axis=-1)
    return log_likelihood - drawn.kl, log_likelihood + log_prior - drawn.log_q


def draws(*of, family):
    keys = jax.random.split(jax.random.key(1), DRAWS)
    return jax.jit(jax.vmap(lambda key: bound(key, *of, family)))(keys)


def test_bound_and_weights_of_gaussian_pixels_are_the_exact_low_rank_gaussian_density(inside):
    loc, loadings, image = inside
    log_scale = jnp.log(SCALE)
    elbo, log_weight = (np.asarray(of, np.float64) for of in draws(loc, log_scale, loadings, image, family="gaussian"))
    covariance = np.asarray(covariance_of(log_scale, loadings), np.float64)
    flat, mean = (np.asarray(of, np.float64).reshape(BATCH, -1) for of in (image, loc))
    exact = [multivariate_normal(mean[i], covariance[i]).logpdf(flat[i]) for i in range(BATCH)]
    # A bin is a twelfth of a level wider in variance, which the density at its center does not know.
    np.testing.assert_allclose(log_weight.mean(axis=0), exact, atol=2 * PIXELS / (24 * SCALE**2))
    assert log_weight.std(axis=0).max() < 0.05  # q is the posterior
    error = elbo.std(axis=0) / np.sqrt(DRAWS)
    np.testing.assert_array_less(np.abs(elbo.mean(axis=0) - log_weight.mean(axis=0)), 4.5 * error + 1e-3)


def test_the_posterior_of_gaussian_pixels_is_the_linear_gaussian_one(inside):
    loc, loadings, image = inside
    pixels = pixels_of(loc, jnp.full_like(loc, jnp.log(SCALE)), loadings, "gaussian")
    mean, cholesky = jax.jit(lambda pixels, image: pixels.posterior(image))(pixels, image)
    flat = np.asarray(loadings, np.float64).reshape(BATCH, PIXELS, RANK)
    precision = np.eye(RANK) + np.einsum("bpr,bps->brs", flat, flat) / SCALE**2
    residual = np.asarray(image - loc, np.float64).reshape(BATCH, PIXELS)
    expected = np.linalg.solve(precision, np.einsum("bpr,bp->br", flat, residual)[..., None])[..., 0] / SCALE**2
    np.testing.assert_allclose(mean, expected, atol=0.003)
    np.testing.assert_allclose(cholesky @ jnp.swapaxes(cholesky, -1, -2), precision, rtol=0.01, atol=0.05)


def test_the_gradient_with_q_held_is_that_of_the_exact_density(inside):
    loc, loadings, image = inside
    log_scale = jnp.float32(np.log(SCALE))

    def exact(loc, log_scale, loadings):
        covariance = covariance_of(log_scale, loadings)
        flat, mean = (of.reshape(BATCH, -1).astype(jnp.float32) for of in (image, loc))
        return jnp.sum(jax.vmap(jax.scipy.stats.multivariate_normal.logpdf)(flat, mean, covariance))

    def estimate(key):
        return jax.grad(lambda *of: jnp.sum(bound(key, *of, image, "gaussian")[0]), (0, 1, 2))(loc, log_scale, loadings)

    found = jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(2), DRAWS))
    expected = jax.jit(jax.grad(exact, (0, 1, 2)))(loc, log_scale, loadings)
    for one, other in zip(found, expected, strict=True):
        error = np.std(one, axis=0) / np.sqrt(DRAWS)
        np.testing.assert_array_less(np.abs(np.mean(one, axis=0) - other), 5 * error + 0.02 * np.abs(other) + 2e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_q_is_close_to_the_posterior_where_pixels_are_in_their_tails_and_at_an_end(inside, family):
    loc, loadings, _ = inside
    random = np.random.default_rng(3)
    loc = jnp.where(jnp.asarray(random.random(loc.shape) < 0.4), -30.0, loc)
    far = np.einsum("bhwrc,br->bhwc", loadings, random.choice([-2.0, 2.0], (BATCH, RANK)))
    image = jnp.asarray(np.clip(np.rint(loc + far + 3 * random.standard_normal(loc.shape)), 0, 255), jnp.int32)
    _, log_weight = draws(loc, jnp.log(3.0), loadings, image, family=family)
    assert np.std(log_weight, axis=0).max() < 0.4


@pytest.mark.parametrize("family", FAMILIES)
def test_slope_and_curvature_are_the_derivatives_of_the_exact_mass(family, exact_log_mass):
    random = np.random.default_rng(4)
    level = np.concatenate([random.integers(0, 256, 300), np.repeat([0, 255], 100)])
    log_scale = random.uniform(-1.0, log_scale_limits(8)[1] - 1, len(level)).astype(np.float32)
    scale = np.exp(log_scale.astype(np.float64))
    loc = (level + scale * random.uniform(-6, 6, len(level))).astype(np.float32)
    slope, curvature = jax.jit(FAMILIES[family](loc, log_scale, bits=8).bend)(level)
    step = 1e-3 * scale
    below, at, above = (exact_log_mass(family, level, loc + shift, log_scale, 8) for shift in (-step, 0 * step, step))
    np.testing.assert_allclose(slope * scale, (above - below) / 2e-3, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(curvature * scale**2, (2 * at - above - below) / 1e-6, rtol=1e-3, atol=2e-3)
