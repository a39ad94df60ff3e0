"""Inferred latents of a linear-Gaussian model, where the mode and log p(x) have closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import objectives
from ctc_jax.models import Masked
from ctc_jax.objectives import PredictiveCoding
from tests.objectives.linear import DIRECTION, GENERATIVE, IMAGES, MODEL, ROUGH, exact, log_evidence

STEP = jnp.zeros((), jnp.int32)
PARAMS = {**GENERATIVE, **ROUGH}
EXACT = {**GENERATIVE, **{name: jnp.float32(value) for name, value in exact().items()}}


def modes():
    """Where log p(x, z_1, z_2) is highest for each image."""
    a, w = 0.7, 0.9
    precision = np.array([[1 + a**2, -a], [-a, 1 + w**2 * float(jnp.sum(DIRECTION**2))]])
    seen = w * np.sum(np.asarray(IMAGES.image) * np.asarray(DIRECTION), axis=(1, 2, 3))
    found = np.linalg.solve(precision, np.stack([np.zeros(2), seen])).T
    return {name: Masked(jnp.asarray(found[:, [at]], jnp.float32)) for at, name in enumerate(("first", "second"))}


def gradient(objective, params, keys):
    def one(key):
        return jax.grad(lambda params: objective(MODEL, params, key, IMAGES, STEP)[0])(params)

    return jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), keys)))


@pytest.mark.parametrize("preconditioned", [False, True])
def test_after_many_steps_of_descent_p_learns_the_joint_density_of_the_mode(preconditioned):
    size = 0.01 if preconditioned else 0.1
    descent = PredictiveCoding("descent", 400, size, preconditioned, unroll=False)
    found = gradient(descent, PARAMS, 2)
    expected = jax.grad(lambda params: -jnp.mean(MODEL.joint(params, IMAGES, modes()).total))(PARAMS)
    for name in GENERATIVE:
        np.testing.assert_allclose(found[name], np.full(2, expected[name]), rtol=0.02, atol=2e-3)
        assert abs(expected[name]) > 0.05


def test_by_langevin_dynamics_p_learns_the_evidence_and_q_is_at_rest_where_it_is_the_posterior():
    """Fisher's identity; steps of 0.005 bias a variance by half a percent of itself."""
    found = gradient(PredictiveCoding(steps=400, step_size=0.005, preconditioned=False, unroll=False), EXACT, 2**12)

    def log_evidence_of(params):
        loading = params["w"] * DIRECTION.reshape(4)
        covariance = jnp.eye(4) + (1 + params["a"] ** 2) * jnp.outer(loading, loading)
        images = IMAGES.image.reshape(2, 4).astype(jnp.float32)
        distance = jnp.einsum("bi,ij,bj->b", images, jnp.linalg.inv(covariance), images)
        return -0.5 * (distance + jnp.linalg.slogdet(covariance)[1] + 4 * np.log(2 * np.pi))

    np.testing.assert_allclose(log_evidence_of(EXACT), log_evidence(), rtol=1e-4)
    expected = jax.grad(lambda params: -jnp.mean(log_evidence_of(params)))(EXACT)
    for name in GENERATIVE:
        error = found[name].std() / 2**6
        assert abs(found[name].mean() - expected[name]) < 4.0 * error + 0.005
        assert abs(expected[name]) > 0.05
    for name in ROUGH:
        assert abs(found[name].mean()) < 4.0 * found[name].std() / 2**6 + 0.01


def test_descent_rises_from_a_draw_and_says_so():
    compute = jax.jit(PredictiveCoding("descent", 5, 0.05, False), static_argnums=0)
    loss, metrics = compute(MODEL, PARAMS, jax.random.key(0), IMAGES, STEP)
    assert metrics["log_joint_nats"] > metrics["start_log_joint_nats"] + 0.1
    assert metrics["loss_nats"] == loss
    assert "elbo_nats" in metrics


def test_the_elbo_it_reports_is_that_of_the_start_whatever_the_steps():
    few, many = (
        jax.jit(PredictiveCoding(steps=steps, unroll=False), static_argnums=0)(
            MODEL, EXACT, jax.random.key(1), IMAGES, STEP
        )[1]["elbo_nats"]
        for steps in (1, 50)
    )
    assert few == many
    np.testing.assert_allclose(few, log_evidence().mean(), rtol=1e-4)  # exact at the exact posterior


def test_build_reads_every_option():
    changes = {"method": "descent", "steps": 3, "step_size": 0.5, "preconditioned": False, "unroll": False}
    section = {"name": "predictive_coding", "predictive_coding": changes}
    assert objectives.build(section) == PredictiveCoding(**changes)
