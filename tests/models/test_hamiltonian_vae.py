"""Posteriors that follow the model's own joint density, through every likelihood: they take second derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked

KEY = jax.random.key(1)
LIKELIHOODS = {"bernoulli": 1, "gaussian": 3, "logistic": 3, "categorical": 2, "ctc": 3}


SHORT = {
    "hamiltonian": {"steps": 2, "width": 3},
    "annealed_hamiltonian": {"bridges": 2},
    "semi_amortized": {"steps": 2},
}
# Those whose weights are of momenta too.
AUXILIARY = ("hamiltonian", "annealed_hamiltonian")


def case(likelihood, posterior):
    slow = likelihood != "bernoulli" and (likelihood, posterior) != ("ctc", "annealed_hamiltonian")
    return pytest.param(likelihood, posterior, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(
    ("likelihood", "posterior"), [case(likelihood, posterior) for likelihood in LIKELIHOODS for posterior in SHORT]
)
def test_the_gradient_of_the_bound_is_that_of_central_differences(make_model, randomize, likelihood, posterior):
    bits, options = LIKELIHOODS[likelihood], SHORT[posterior]
    model = make_model(
        "mlp_vae", likelihood=likelihood, bits=bits, latents=2, posterior=posterior, posterior_options=options
    )
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.2)
    images = np.random.default_rng(0).integers(0, 2**bits, (3, 2, 2, 1)).astype(np.uint8)
    batch = Batch(jnp.asarray(images), jnp.zeros(3, jnp.int32))
    flat, unravel = ravel_pytree(params)

    def bound(flat):
        parts = model.bound(unravel(flat), KEY, batch)
        return jnp.sum(parts.log_likelihood - sum(parts.kl.values()))

    direction = jax.random.normal(jax.random.key(2), flat.shape)
    direction /= jnp.linalg.norm(direction)
    value, gradient = jax.jit(jax.value_and_grad(bound))(flat)
    at = jax.jit(lambda step: bound(flat + step * direction))
    # Of fourth order: the truncation is far below what float32 leaves of a difference; at four times this step it would
    # not be for semi_amortized under a narrow Gaussian, whose bound bends within 0.02.
    step = 5e-3
    slope = (8.0 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12.0 * step)
    rounding = 3e-6 * abs(float(value)) / step
    np.testing.assert_allclose(gradient @ direction, slope, rtol=5e-3, atol=rounding)
    assert np.isfinite(gradient).all()
    own = ravel_pytree(jax.tree.map(jnp.abs, unravel(gradient)["posterior"]))[0]
    assert np.mean(own > 0) > 0.9


@pytest.mark.parametrize("posterior", SHORT)
def test_steps_compiled_once_are_those_compiled_apart(make_model, randomize, posterior):
    images = np.random.default_rng(0).integers(0, 2, (3, 2, 2, 1)).astype(np.uint8)
    batch, found = Batch(jnp.asarray(images), jnp.zeros(3, jnp.int32)), []
    for unroll in (True, False):
        options = {**SHORT[posterior], "unroll": unroll}
        model = make_model("mlp_vae", latents=2, posterior=posterior, posterior_options=options)
        params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.2)
        found.append(
            jax.jit(jax.grad(lambda params, model=model: model.infer(params, KEY, batch).log_weight.sum()))(params)
        )
    jax.tree.map(lambda *pair: np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-5), *found)


@pytest.mark.parametrize(
    ("name", "posterior"),
    [
        *(("mlp_vae", posterior) for posterior in AUXILIARY),
        pytest.param("ctc_hierarchy", "annealed_hamiltonian", marks=pytest.mark.slow),
    ],
)
def test_the_mean_weight_is_the_evidence_by_quadrature(make_model, randomize, binary_images, name, posterior):
    """Through a model, its evaluation and a Bernoulli decoder; the sum over all images of the evidence is 1."""
    changes = {"families": "none", "levels": 1} if name == "ctc_hierarchy" else {}
    model = make_model(name, posterior=posterior, posterior_options=SHORT[posterior], **changes)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.1 if changes else 0.3)
    (code,) = model.latents
    grid = jnp.linspace(-8.0, 8.0, 801)

    @jax.jit
    def log_joint(value):
        latents = {code: Masked(jnp.full((16, 1), value))}
        return model.joint(params, binary_images, latents).total

    evidence = np.exp(np.float64(jax.vmap(log_joint)(grid))).sum(axis=0) * float(grid[1] - grid[0])
    np.testing.assert_allclose(evidence.sum(), 1.0, rtol=1e-4)
    weigh = jax.jit(jax.vmap(lambda key: model.infer(params, key, binary_images).log_weight))
    weights = np.exp(np.float64(weigh(jax.random.split(KEY, 2**12)))) / evidence
    error = weights.std(axis=0) / np.sqrt(len(weights))
    assert error.max() < 0.2
    assert np.abs((weights.mean(axis=0) - 1.0) / error).max() < 4.0
