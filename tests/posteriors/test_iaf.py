from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import linen as nn
from jax.example_libraries import stax
from numpyro.distributions.flows import InverseAutoregressiveTransform
from numpyro.nn.auto_reg_nn import AutoregressiveNN

from ctc_jax.posteriors.diagonal import DiagonalGaussian
from ctc_jax.posteriors.flow import NormalizingFlow
from ctc_jax.posteriors.iaf import GATE, AutoregressiveStep, IAFOptions
from tests.posteriors.linear_gaussian import LinearGaussian, maximized, prior

FEATURES = 4
# latents, width, layers: one latent, fewer units than latents, as many as it takes.
SIZES = [(1, 3, 1), (5, 2, 1), (4, 9, 2)]


def randomized(params, scale=0.7):
    """Every entry normal, less where a unit has many inputs: nothing is near the identity."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(9), len(leaves))
    return jax.tree.unflatten(
        structure,
        [
            scale * jax.random.normal(key, leaf.shape) / np.sqrt(leaf.shape[0] if leaf.ndim > 1 else 1)
            for key, leaf in zip(keys, leaves, strict=True)
        ],
    )


def flow_of(latents, width, layers, scale=0.7):
    flow = IAFOptions(steps=3, width=width, layers=layers, context=3).build(latents=latents)
    hidden = jax.random.normal(jax.random.key(0), (6, FEATURES))
    params = jax.jit(partial(flow.init, method="center"))(jax.random.key(1), hidden)
    return flow, randomized(params, scale), hidden


def as_numpyro(flow, params, row):
    """The steps for one row of features as numpyro's transforms, which invert latent by latent."""
    context = row @ params["params"]["contexts"]["kernel"] + params["params"]["contexts"]["bias"]

    def transform(index, step):
        def network(latent):
            own = {"params": params["params"][f"moves_{index}"]}
            mean, logit = step.apply(own, latent[None], context[None], method="mean_and_logit")
            return (1.0 - nn.sigmoid(logit[0])) * mean[0], nn.log_sigmoid(logit[0])

        return InverseAutoregressiveTransform(network, log_scale_min_clip=-50.0)

    return [transform(index, step) for index, step in enumerate(flow.moves)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_latent_is_moved_by_those_before_it_and_each_by_the_context(sizes, reverse):
    latents, width, layers = sizes
    order = tuple(range(1, latents + 1))
    step = AutoregressiveStep(order[::-1] if reverse else order, width, layers)
    latent, context = jax.random.normal(jax.random.key(3), (1, latents)), jnp.ones((1, 2))
    params = randomized(jax.jit(step.init)(jax.random.key(4), latent, context))

    def moved(latent, context):
        return step.apply(params, latent[None], context[None])[0][0]

    by_latent, by_context = jax.jit(jax.jacfwd(moved, argnums=(0, 1)))(latent[0], context[0])
    expected = np.tri(latents).T if reverse else np.tri(latents)
    np.testing.assert_array_equal(np.asarray(by_latent) != 0, expected.astype(bool))
    assert np.all(np.asarray(by_context) != 0)
    logit = step.apply(params, latent, context, method="mean_and_logit")[1][0]
    np.testing.assert_allclose(np.diag(by_latent), nn.sigmoid(logit), rtol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_step_is_numpyro_s_transform_of_its_autoregressive_network(layers):
    # 4 units between 3 latents have the same degrees there as here: 1, 1, 2, 2.
    step = AutoregressiveStep((1, 2, 3), width=4, layers=layers)
    latent, context = jax.random.normal(jax.random.key(5), (3,)), jnp.zeros((1, 2))
    params = randomized(step.init(jax.random.key(6), latent[None], context))
    ours = params["params"]
    # Without an image the context's layers are biases.
    masked = [(ours[f"MaskedDense_{layer}"]["kernel"], ours[f"Dense_{layer}"]["bias"]) for layer in range(layers + 1)]
    between = [part for layer in masked for part in (layer, ())][:-1]
    theirs = [(), (between, ours[f"MaskedDense_{layers + 1}"]["kernel"]), ()]
    _, network = AutoregressiveNN(3, [4] * layers, skip_connections=True, nonlinearity=stax.elementwise(nn.silu))

    def gated(latent):
        mean, logit = network(theirs, latent)
        return (1.0 - nn.sigmoid(logit + GATE)) * mean, nn.log_sigmoid(logit + GATE)

    moved, found = step.apply(params, latent[None], context)
    transform = InverseAutoregressiveTransform(gated)
    np.testing.assert_allclose(moved[0], transform(latent), rtol=1e-5)
    log_determinant = transform.log_abs_det_jacobian(latent, moved[0])
    np.testing.assert_allclose(found[0], log_determinant, rtol=1e-5)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_density_of_a_draw_is_that_of_inverting_it_latent_by_latent(sizes):
    flow, params, hidden = flow_of(*sizes)

    @jax.jit
    def drawn_and_inverted(params):
        draw = flow.apply(params, jax.random.key(7), hidden, prior(6, flow.latents))
        start = DiagonalGaussian(flow.latents).apply(
            {"params": params["params"]["start"]}, hidden[:1], method="distribution"
        )
        gaussian = dist.Normal(start.base_dist.loc[0], start.base_dist.scale[0]).to_event(1)
        inverted = dist.TransformedDistribution(gaussian, as_numpyro(flow, params, hidden[0]))
        return draw, inverted.log_prob(draw.latent[0])

    draw, log_prob = drawn_and_inverted(params)
    np.testing.assert_allclose(draw.log_q[0], log_prob, rtol=1e-3, atol=1e-3)
    assert draw.kl is None


def test_the_density_on_the_plane_integrates_to_one():
    flow, params, hidden = flow_of(2, 8, 1, scale=0.4)
    start = DiagonalGaussian(2).apply({"params": params["params"]["start"]}, hidden[:1], method="distribution")
    rows = jnp.tile(hidden[:1], (500, 1))
    draws = jax.jit(flow.apply)(params, jax.random.key(8), rows, prior(500, 2)).latent
    middle, width = draws.mean(axis=0), draws.std(axis=0)
    axis = jnp.linspace(-10.0, 10.0, 501)
    grid = middle[None] + width[None] * jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    transforms = as_numpyro(flow, params, hidden[0])

    def density(latent):
        inverted = latent
        for transform in reversed(transforms):
            inverted = transform.inv(inverted)
        moved, log_determinant = flow.apply(params, inverted[None], hidden[:1], method="flow")
        return moved[0], jnp.exp(start.log_prob(inverted[None]) - log_determinant)[0]

    moved, found = jax.jit(jax.vmap(density))(grid)
    inside = np.asarray(found) > 1e-8
    np.testing.assert_allclose(moved[inside], grid[inside], atol=1e-2)
    np.testing.assert_allclose(found.sum() * (axis[1] - axis[0]) ** 2 * width.prod(), 1.0, atol=2e-3)


def test_the_start_is_close_to_the_identity_times_open_gates():
    flow = IAFOptions(steps=4, width=64, layers=2, context=16).build(latents=32)
    hidden = jax.random.normal(jax.random.key(0), (200, 64))
    params = jax.jit(partial(flow.init, method="center"))(jax.random.key(1), hidden)
    latent = jax.random.normal(jax.random.key(2), (200, 32))
    moved, log_determinant = jax.jit(partial(flow.apply, method="flow"))(params, latent, hidden)
    gate = 1.0 / (1.0 + np.exp(-GATE))
    np.testing.assert_allclose(np.sqrt(np.mean((moved - gate**4 * latent) ** 2)), 0.0, atol=0.1)
    np.testing.assert_allclose(log_determinant.mean() / 32, 4 * np.log(gate), rtol=0.05)


def test_a_correlated_posterior_is_reached_that_leaves_the_diagonal_gaussian_its_gap():
    problem = LinearGaussian.random(np.array([[1.0, 0.9], [0.2, 0.3], [0.8, 1.0]]), 0.5, 8)
    gaps = {}
    for posterior in (DiagonalGaussian(2), IAFOptions(steps=2, width=16, layers=1, context=4).build(latents=2)):
        elbo = maximized(posterior, jnp.eye(8), problem.log_joint, problem.prior, steps=400)
        gaps[type(posterior)] = np.mean(problem.log_evidence - elbo)
    # The best diagonal Gaussian has the precision's own diagonal.
    precision = problem.precision
    of_diagonal = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    np.testing.assert_allclose(gaps[DiagonalGaussian], of_diagonal, atol=0.05)
    assert of_diagonal > 0.5
    assert -0.02 < gaps[NormalizingFlow] < 0.1 * of_diagonal


@pytest.mark.slow
def test_a_banana_is_reached_that_the_diagonal_gaussian_cannot_bend_to():
    def log_joint(latent):
        normal = dist.Normal(0.0, 1.0)
        bent = (latent[:, 1] - latent[:, 0] ** 2) / 0.3
        return normal.log_prob(latent).sum(axis=-1) + normal.log_prob(bent) - np.log(0.3)

    axis = jnp.linspace(-6.0, 6.0, 1201)
    grid = jnp.stack(jnp.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    log_evidence = jax.nn.logsumexp(log_joint(grid)) + 2 * np.log(axis[1] - axis[0])
    gaps = {}
    for posterior in (DiagonalGaussian(2), IAFOptions(steps=4, width=32, layers=1, context=2).build(latents=2)):
        elbo = maximized(posterior, jnp.ones((4, 1)), log_joint, prior(4, 2), steps=400)
        gaps[type(posterior)] = float(np.mean(log_evidence - elbo))
    assert gaps[DiagonalGaussian] > 0.25
    assert -0.02 < gaps[NormalizingFlow] < 0.3 * gaps[DiagonalGaussian]
