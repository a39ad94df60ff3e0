"""Refined Gaussians of linear-Gaussian models, whose best diagonal posterior has a closed form."""

import jax
import numpy as np
import pytest

from ctc_jax.posteriors import REGISTRY
from tests.posteriors.linear_gaussian import LinearGaussian

OPTIONS = REGISTRY["semi_amortized"]
LATENTS, BATCH = 3, 4


@pytest.fixture(scope="module")
def problem():
    weights = np.random.default_rng(1).normal(size=(5, LATENTS))
    return LinearGaussian.random(weights, 0.8, BATCH)


def refined(problem, **options):
    family = OPTIONS(unroll=False, **options).build(latents=LATENTS)
    params = family.init(jax.random.key(0), problem.images, method="center")
    return jax.jit(lambda: family.apply(params, problem.images, problem.log_joint, method="refined").base_dist)()


def test_enough_steps_reach_the_best_diagonal_gaussian(problem):
    """Its mean is the posterior's, its precisions are the diagonal of the posterior's precision."""
    precision = problem.precision
    mean = np.linalg.solve(precision, problem.weights.T @ np.asarray(problem.images, np.float64).T / 0.8**2).T
    found = refined(problem, steps=2000, step_size=0.02, pairs=4)
    np.testing.assert_allclose(found.loc, mean, atol=2e-3)
    np.testing.assert_allclose(found.scale, np.tile(np.diag(precision) ** -0.5, (BATCH, 1)), rtol=0.03)


def test_its_bound_misses_the_evidence_by_the_divergence_of_the_best_diagonal_gaussian(problem):
    family = OPTIONS(steps=1000, step_size=0.02, pairs=4, unroll=False).build(latents=LATENTS)
    params = family.init(jax.random.key(0), problem.images, method="center")

    def weight(key):
        draw = family.apply(params, key, problem.images, problem.prior, problem.log_joint)
        return problem.log_joint(draw.latent) - draw.log_q

    weights = np.asarray(jax.jit(jax.vmap(weight))(jax.random.split(jax.random.key(1), 2**12)), np.float64)
    precision = problem.precision
    divergence = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    error = weights.std(axis=0) / np.sqrt(len(weights))
    # The sides of the points leave of the best scales some percent, whose square counts.
    np.testing.assert_array_less(np.abs(problem.log_evidence - divergence - weights.mean(axis=0)), 4.0 * error + 3e-3)
    assert divergence > 0.2


def test_one_newton_step_ends_at_the_mean_where_the_scales_are_right():
    problem = LinearGaussian.random(np.zeros((5, LATENTS)), 1.0, BATCH)  # p(z|x) is N(0, I), whatever x
    family = OPTIONS(steps=1, step_size=1.0).build(latents=LATENTS)
    params = family.init(jax.random.key(0), problem.images, method="center")
    kernel = params["params"]["start"]["Dense_0"]["kernel"]
    params["params"]["start"]["Dense_0"]["kernel"] = kernel.at[:, LATENTS:].set(0.0)  # scales of 1
    found = family.apply(params, problem.images, problem.log_joint, method="refined").base_dist
    np.testing.assert_allclose(found.loc, 0.0, atol=1e-5)
    np.testing.assert_allclose(found.scale, 1.0, rtol=1e-5)
    assert np.abs(family.apply(params, problem.images, method="center")).max() > 0.1


def test_steps_raise_the_bound(problem):
    def bound(steps):
        found = refined(problem, steps=steps)
        draws = found.loc[None] + found.scale[None] * jax.random.normal(jax.random.key(0), (512, BATCH, LATENTS))
        return np.mean(jax.vmap(problem.log_joint)(draws)) + np.mean(np.log(found.scale).sum(axis=1))

    bounds = [bound(steps) for steps in (1, 4, 16, 64)]
    assert (np.diff(bounds) > 0.05).all()
