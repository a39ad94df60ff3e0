"""A family at every position of a feature map: against densities written out, and what holds for each family."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from ctc_jax.models.position_posterior import PositionPosterior
from ctc_jax.posteriors import REGISTRY, PosteriorDraw
from tests.posteriors.test_invariants import SMALL

# Two images of 2 x 4 units of one channel, in patches of 2: two positions of four units each.
SHAPE, PATCH, LATENTS, FEATURES = (2, 4, 1), 2, 4, 3
BATCH, UNITS = 2, 8
HIDDEN = jax.random.normal(jax.random.key(0), (BATCH, 1, 2, FEATURES))
LOC = jax.random.normal(jax.random.key(1), (BATCH, UNITS))
SCALE = jnp.exp(0.3 * jax.random.normal(jax.random.key(2), (BATCH, UNITS)))
AROUND = dist.Normal(LOC, SCALE)
# Of each position the units of its patch, rows first.
PLACES = np.array([[0, 1, 4, 5], [2, 3, 6, 7]])
SERVED = [name for name, options in REGISTRY.items() if not options().build(latents=1).needs_log_joint]


class Level:
    """A family with parameters away from their start."""

    def __init__(self, name):
        self.family = REGISTRY[name](**SMALL.get(name, {})).build(latents=LATENTS)
        params = jax.jit(partial(self.family.init, method="center"))(jax.random.key(3), HIDDEN[:, 0, 0])
        leaves, structure = jax.tree.flatten(params)
        keys = jax.random.split(jax.random.key(4), len(leaves))
        moved = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
        self.params = jax.tree.unflatten(structure, moved)

    @property
    def posterior(self):
        return PositionPosterior(self.family.bind(self.params), AROUND, SHAPE, PATCH)

    def draws(self, count, prior=None) -> PosteriorDraw:
        keys = jax.random.split(jax.random.key(5), count)
        return jax.jit(jax.vmap(lambda key: self.posterior(key, HIDDEN, prior)))(keys)


@pytest.fixture(scope="module", params=SERVED)
def level(request):
    return Level(request.param)


def test_a_full_covariance_is_that_of_a_gaussian_at_each_position():
    level = Level("full")
    drawn = level.draws(7, AROUND.to_event(1))
    density = level.family.apply(level.params, HIDDEN.reshape(-1, FEATURES), method="distribution")
    loc, tril = (np.float64(of).reshape(BATCH, 2, *of.shape[1:]) for of in (density.loc, density.scale_tril))
    log_q, kl = 0.0, 0.0
    for place, units in enumerate(PLACES):
        scale = SCALE[:, units]
        at_place = dist.MultivariateNormal(
            LOC[:, units] + scale * loc[:, place], scale_tril=scale[:, :, None] * tril[:, place]
        )
        log_q += jax.vmap(at_place.log_prob)(drawn.latent[..., units])
        prior = dist.MultivariateNormal(LOC[:, units], scale_tril=scale[:, :, None] * jnp.eye(LATENTS)[None])
        kl += dist.kl_divergence(at_place, prior)
        np.testing.assert_allclose(level.posterior.center(HIDDEN)[:, units], at_place.loc, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(drawn.log_q, log_q, rtol=1e-4)
    np.testing.assert_allclose(drawn.kl[0], kl, rtol=1e-4)
    assert np.abs(drawn.kl).min() > 0.1


def test_a_position_sees_its_own_features_alone(level):
    changed = HIDDEN.at[0, 0, 0].add(1.0)
    plain, moved = (jax.jit(level.posterior.__call__)(jax.random.key(6), of, None) for of in (HIDDEN, changed))
    apart = np.abs(plain.latent - moved.latent)
    assert apart[0, PLACES[0]].min() > 1e-5
    np.testing.assert_array_less(apart[0, PLACES[1]], 1e-5)
    np.testing.assert_array_less(apart[1], 1e-5)


def test_the_density_is_normalized_and_no_divergence_is_known_before_the_prior(level):
    drawn = level.draws(2**15)
    assert drawn.kl is None
    latent, log_q = np.float64(drawn.latent), np.float64(drawn.log_q)
    rows = [stats.multivariate_normal(of.mean(axis=0), np.cov(of.T) / 4) for of in np.moveaxis(latent, 1, 0)]
    log_inner = [density.logpdf(latent[:, row]) for row, density in enumerate(rows)]
    weights = np.exp(np.stack(log_inner, axis=1) - log_q)
    error = weights.std(axis=0) / np.sqrt(len(weights))
    assert error.max() < 0.1
    assert np.abs((weights.mean(axis=0) - 1.0) / error).max() < 4.0


def test_the_density_of_its_own_draws_is_that_of_any_units(level):
    drawn = level.draws(5)
    if not level.family.scored:
        with pytest.raises(NotImplementedError, match="own draws alone"):
            level.posterior.log_prob(HIDDEN, drawn.latent[0])
        return
    found = jax.jit(jax.vmap(lambda latent: level.posterior.log_prob(HIDDEN, latent)))(drawn.latent)
    np.testing.assert_allclose(found, drawn.log_q, rtol=1e-4, atol=1e-4)


def test_a_divergence_is_the_mean_of_its_estimates(level):
    drawn = level.draws(2**12, AROUND.to_event(1))
    if drawn.kl is None:
        pytest.skip("this family has no closed form")
    estimates = np.float64(drawn.log_q - jax.vmap(AROUND.log_prob)(drawn.latent).sum(axis=-1))
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert np.abs((estimates.mean(axis=0) - drawn.kl[0]) / error).max() < 4.0
