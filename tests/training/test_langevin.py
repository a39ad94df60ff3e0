"""Parameters drawn by Langevin dynamics: stationary laws in closed form, and runs that resume."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ctc_jax import training
from ctc_jax.options import OptionError
from ctc_jax.training import Checkpoints, Outcome, optimizer
from ctc_jax.training.langevin import sgld
from ctc_jax.training.mesh import data_mesh
from ctc_jax.training.optimizer import OptimizerOptions

IMAGES = 50


def last(transformation, gradient, start, updates):
    def step(carry, _):
        params, state = carry
        change, state = transformation.update(gradient(params), state, params)
        return (optax.apply_updates(params, change), state), None

    return jax.jit(lambda: jax.lax.scan(step, (start, transformation.init(start)), None, updates)[0][0])()


def assert_variance(found, expected):
    assert abs(found.var() / expected - 1.0) < 4.0 * np.sqrt(2.0 / found.size)


def test_the_law_at_rest_is_that_of_the_discrete_chain():
    """16,384 chains on a loss c / 2 (w - m)^2 with prior precision N d."""
    curvature, middle, decay, rate, count = 1.5, 0.7, 0.3, 0.4, 2**14
    chain = sgld(optax.constant_schedule(rate), IMAGES, 3, weight_decay=decay)
    found = np.asarray(last(chain, lambda w: curvature * (w - middle), jnp.zeros(count), 60))
    both = curvature + decay
    expected = 1.0 / (IMAGES * both * (1.0 - rate * both / 2.0))
    assert abs(found.mean() - curvature * middle / both) < 4.0 * np.sqrt(expected / count)
    assert_variance(found, expected)
    assert expected > 1.4 / (IMAGES * both)  # so that the step size shows


def test_small_steps_draw_from_the_posterior_of_a_linear_regression():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(IMAGES, 3)) * np.array([1.0, 0.7, 1.3])
    targets, noise, decay, chains = inputs @ np.array([1.0, -2.0, 0.5]) + generator.normal(size=IMAGES), 0.8, 0.1, 2**12
    precision = inputs.T @ inputs / noise**2 + IMAGES * decay * np.eye(3)
    mean, covariance = np.linalg.solve(precision, inputs.T @ targets / noise**2), np.linalg.inv(precision)

    def loss(weights):
        return jnp.sum(jnp.mean((jnp.asarray(targets)[None] - weights @ jnp.asarray(inputs).T) ** 2, axis=1)) / (
            2 * noise**2
        )

    chain = sgld(optax.constant_schedule(0.01), IMAGES, 0, weight_decay=decay)
    found = np.asarray(last(chain, jax.grad(loss), jnp.zeros((chains, 3)), 1500), np.float64)
    error = np.sqrt(np.diag(covariance) / chains)
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - mean), 4.0 * error)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(np.cov(found.T) / scale, covariance / scale, atol=4.0 * np.sqrt(2.0 / chains) + 0.02)


def test_a_preconditioned_update_has_drift_and_noise_of_its_own_size():
    """Where gradients have been alike, G is 1 / (epsilon + |gradient|)."""
    gradient, rate, decay, epsilon = jnp.repeat(jnp.array([0.01, -1.0, 100.0]), 2**12), 0.02, 0.3, 0.1
    chain = sgld(optax.constant_schedule(rate), IMAGES, 1, weight_decay=decay, beta2=0.99, epsilon=epsilon)
    state, params = chain.init(gradient), jnp.full_like(gradient, 0.5)
    for _ in range(3):
        update, state = chain.update(gradient, state, params)
    found = np.asarray(update, np.float64).reshape(3, -1)
    for row, slope in zip(found, (0.01, -1.0, 100.0), strict=True):
        scale = 1.0 / (epsilon + abs(slope))
        assert_variance(row, 2.0 * rate * scale / IMAGES)
        drift = -rate * scale * (slope + decay * 0.5)
        assert abs(row.mean() - drift) < 4.0 * row.std() / 2**6
        assert abs(drift) > 4.0 * row.std() / 2**6


def test_noise_is_a_function_of_seed_and_update_and_another_for_each_leaf():
    params = {"a": jnp.zeros(5), "b": jnp.zeros(5)}

    def updates(seed, count):
        chain = sgld(optax.constant_schedule(0.1), IMAGES, seed, weight_decay=0.0)
        state, found = chain.init(params), []
        for _ in range(count):
            change, state = chain.update(params, state, params)
            found.append(change)
        return found

    one, again, other = updates(0, 2), updates(0, 2), updates(1, 1)
    jax.tree.map(np.testing.assert_array_equal, one, again)
    for a, b in [(one[0]["a"], one[0]["b"]), (one[0]["a"], one[1]["a"]), (one[0]["a"], other[0]["a"])]:
        assert np.abs(a - b).min() > 0


def test_draws_of_clipped_gradients_and_of_no_images_are_refused():
    with pytest.raises(OptionError, match=r"^clip_norm is 1\.0; allowed: 0 with train\.optimizer sgld, "):
        OptimizerOptions(optimizer="sgld", clip_norm=1.0)
    with pytest.raises(ValueError, match=r"^psgld of 0 images; allowed: 1 or more$"):
        optimizer.build(OptimizerOptions(optimizer="psgld"))


def run(config, workdir, **options):
    experiment = training.build(config, options.pop("mesh", None))
    outcome = training.train(experiment, workdir, stream=io.StringIO(), **options)
    checkpoints = Checkpoints(workdir / "checkpoints")
    state = checkpoints.restore(experiment.abstract_state, experiment.sharding).state
    steps = checkpoints.steps
    checkpoints.close()
    return outcome, state, steps


@pytest.mark.slow
def test_a_run_resumes_to_the_same_bits_keeps_its_draws_and_counts_all_training_images(tiny, tmp_path):
    config = tiny(train__optimizer="psgld", train__keep_checkpoints=3, train__checkpoint_every=2, train__epsilon=1e-3)
    _, whole, steps = run(config, tmp_path / "whole")
    assert steps[-3:] == [8, 10, 12]
    asked = iter([False] * 4 + [True])
    outcome, *_ = run(config, tmp_path / "broken", interrupted=lambda: next(asked))
    assert outcome is Outcome.INTERRUPTED
    _, broken, _ = run(config, tmp_path / "broken")
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(broken), strict=True):
        np.testing.assert_array_equal(a, b)
    _, one, _ = run(config, tmp_path / "one", mesh=data_mesh(jax.devices()[:1]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), whole.params, one.params)
