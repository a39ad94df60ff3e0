"""What holds for every recognition family: all of the registry, and some of its variants."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import stats

from ctc_jax.posteriors import REGISTRY, AbstractPosterior
from tests.documented import documented
from tests.posteriors.linear_gaussian import LinearGaussian, maximized

BATCH, LATENTS, FEATURES = 4, 3, 5

SMALL = {
    "iaf": {"steps": 2, "width": 8, "context": 4},
    "planar": {"steps": 3, "context": 4},
    "radial": {"steps": 3, "context": 4},
    "coupling": {"steps": 2, "width": 8, "layers": 1, "context": 4},
    "semi_amortized": {"steps": 2},
    "hamiltonian": {"steps": 3, "width": 4},
    "annealed_hamiltonian": {"bridges": 3},
    "neural_spline": {"steps": 2, "width": 8, "layers": 1, "context": 4, "bins": 4},
}
FAMILIES = {
    **{name: options(**SMALL.get(name, {})).build(latents=LATENTS) for name, options in REGISTRY.items()},
    "iaf of one narrow step": REGISTRY["iaf"](steps=1, width=2, layers=2, context=1).build(latents=LATENTS),
    "correlated, as documented": documented("class CorrelatedGaussian(")
    .CorrelatedGaussianOptions()
    .build(latents=LATENTS),
    "hamiltonian, tempered": REGISTRY["hamiltonian"](steps=2, width=4, tempering=True).build(latents=LATENTS),
}


@pytest.fixture(scope="module")
def problem():
    weights = 0.5 * np.random.default_rng(3).normal(size=(FEATURES, LATENTS))
    return LinearGaussian.random(weights, 1.0, BATCH)


@pytest.fixture(scope="module", params=FAMILIES)
def posterior(request) -> AbstractPosterior:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def params(posterior, problem):
    """Moved from the start, where a flow is close to the identity."""
    params = jax.jit(partial(posterior.init, method="center"))(jax.random.key(0), problem.images)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + 0.05 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(structure, moved)


@pytest.fixture
def draw(posterior, params, problem):
    """A draw by key, from these features."""

    def draw(key, hidden=problem.images, params=params):
        log_joint = problem.log_joint if posterior.needs_log_joint else None  # the others do without
        return posterior.apply(params, key, hidden, problem.prior, log_joint)

    return draw


def test_shapes_and_float32_whatever_the_features(draw, posterior, params, problem):
    hidden = jnp.asarray(problem.images, jnp.bfloat16)
    drawn = draw(jax.random.key(2), hidden)
    leaves = [drawn.latent, drawn.log_q, posterior.apply(params, hidden, method="center")]
    assert [leaf.shape for leaf in leaves] == [(BATCH, LATENTS), (BATCH,), (BATCH, LATENTS)]
    assert drawn.kl is None or (drawn.kl.shape, drawn.kl.dtype) == ((BATCH,), jnp.float32)
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype(jnp.float32)}


def test_initialization_through_the_center_makes_every_parameter(posterior, problem):
    key, log_joint = jax.random.key(0), problem.log_joint if posterior.needs_log_joint else None
    through = jax.eval_shape(partial(posterior.init, method="center"), key, problem.images)
    called = jax.eval_shape(lambda key: posterior.init(key, key, problem.images, problem.prior, log_joint), key)
    assert jax.tree.map(jnp.shape, through) == jax.tree.map(jnp.shape, called)


def test_a_draw_is_a_function_of_its_key_under_jit_and_vmap(draw):
    keys = jax.random.split(jax.random.key(3), 2)
    one, other = draw(keys[0]), draw(keys[1])
    assert np.abs(one.latent - other.latent).min() > 1e-4
    together = jax.jit(jax.vmap(draw))(keys)
    for row, alone in enumerate((one, other)):
        for found, expected in zip(together, alone, strict=True):
            if expected is not None:
                np.testing.assert_allclose(found[row], expected, rtol=2e-4, atol=2e-5)


def test_a_row_depends_on_its_own_features_alone(draw, problem):
    changed = problem.images.at[0].add(1.0)
    plain, moved = draw(jax.random.key(4)), draw(jax.random.key(4), changed)
    assert np.abs(plain.latent[0] - moved.latent[0]).max() > 1e-3
    np.testing.assert_allclose(plain.latent[1:], moved.latent[1:], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(plain.log_q[1:], moved.log_q[1:], rtol=1e-5, atol=1e-5)


def test_gradients_of_latent_and_density_are_those_of_finite_differences(draw, problem):
    @jax.jit
    def summed(hidden):
        drawn = draw(jax.random.key(5), hidden)
        return jnp.sin(drawn.latent).sum() + drawn.log_q.sum()

    check_grads(summed, (problem.images,), order=1, modes=["rev"], atol=0.02, rtol=0.02, eps=3e-3)


def test_the_density_is_normalized(draw):
    drawn = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(6), 2**16))
    latent, log_q = (np.asarray(of, np.float64) for of in drawn[:2])
    # Importance weights of a density that lies well within have mean 1, with auxiliary variables too.
    inner = [stats.multivariate_normal(rows.mean(axis=0), np.cov(rows.T) / 4) for rows in np.moveaxis(latent, 1, 0)]
    log_inner = [density.logpdf(latent[:, row]) for row, density in enumerate(inner)]
    weights = np.exp(np.stack(log_inner, axis=1) - log_q)
    error = weights.std(axis=0) / np.sqrt(len(weights))
    assert error.max() < 0.05
    assert np.abs((weights.mean(axis=0) - 1.0) / error).max() < 4.0


def test_a_scored_family_gives_a_draw_the_density_that_came_with_it(draw, posterior, params, problem):
    drawn = draw(jax.random.key(8))
    if posterior.scored:
        found = posterior.apply(params, problem.images, drawn.latent, method="log_prob")
        np.testing.assert_allclose(found, drawn.log_q, rtol=1e-4, atol=1e-4)
    else:
        with pytest.raises(NotImplementedError, match=r"knows the density of its own draws alone"):
            posterior.apply(params, problem.images, drawn.latent, method="log_prob")


def test_a_divergence_in_closed_form_is_the_mean_of_its_estimates(draw, problem):
    drawn = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(7), 2**12))
    if drawn.kl is None:
        pytest.skip("this family has no closed form")
    estimates = np.asarray(drawn.log_q - jax.vmap(problem.prior.log_prob)(drawn.latent), np.float64)
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert np.abs((estimates.mean(axis=0) - drawn.kl[0]) / error).max() < 4.0


@pytest.mark.slow
def test_the_bound_reaches_the_evidence_where_the_posterior_is_a_diagonal_gaussian(posterior):
    weights = 1.5 * np.linalg.qr(np.random.default_rng(0).normal(size=(FEATURES, LATENTS)))[0]
    problem = LinearGaussian.random(weights, 1.0, 8)
    elbo = maximized(posterior, problem.images, problem.log_joint, problem.prior, steps=250)
    gap = problem.log_evidence - elbo
    assert -0.03 < gap.mean() < 0.05
