"""What holds for every step of every flow, by its constructor, and each against another library or its formula."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flowjax import bijections
from jax.flatten_util import ravel_pytree

from ctc_jax.posteriors import REGISTRY
from ctc_jax.posteriors.coupling import CouplingStep
from ctc_jax.posteriors.diagonal import DiagonalGaussian
from ctc_jax.posteriors.flow import NormalizingFlow
from ctc_jax.posteriors.iaf import AutoregressiveStep
from ctc_jax.posteriors.neural_spline import SplineStep, rational_quadratic_spline
from ctc_jax.posteriors.planar import PlanarStep
from ctc_jax.posteriors.radial import RadialStep
from tests.posteriors.linear_gaussian import prior

ROWS, CONTEXT = 6, 3


def steps(latents):
    """Each kind of step; those with an order in both."""
    order = tuple(range(1, latents + 1))
    return {
        "planar": PlanarStep(),
        "radial": RadialStep(),
        "iaf": AutoregressiveStep(order, 5, 1),
        "iaf reversed": AutoregressiveStep(order[::-1], 2, 2),
        "coupling": CouplingStep(False, 5, 1),
        "coupling second": CouplingStep(True, 5, 2),
        "spline": SplineStep(False, 5, 1, bins=4, bound=2.0),
        "spline second": SplineStep(True, 5, 2, bins=3, bound=1.5),
    }


CASES = [(name, latents) for latents in (1, 2, 5) for name in steps(latents)]


def randomized(params, scale):
    """Every entry normal: nothing is near the identity."""
    flat, unravel = ravel_pytree(params)
    return unravel(scale * jax.random.normal(jax.random.key(9), flat.shape))


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}", scope="module")
def step_and_latent(request):
    """A step and latents, some of them beyond the splines' bounds, and its contexts."""
    name, latents = request.param
    latent = 1.5 * jax.random.normal(jax.random.key(0), (ROWS, latents))
    return steps(latents)[name], latent, jax.random.normal(jax.random.key(1), (ROWS, CONTEXT))


@pytest.fixture(scope="module")
def moved(step_and_latent):
    """Compiled once: `(params, latent, context)` to the moved latents, the log-determinant and the Jacobian."""
    step = step_and_latent[0]

    def one(params, latent, context):
        def of(latent):
            moved, log_determinant = step.apply(params, latent[None], context[None])
            return moved[0], (moved[0], log_determinant[0])

        jacobian, (moved, log_determinant) = jax.jacfwd(of, has_aux=True)(latent)
        return moved, log_determinant, jacobian

    return jax.jit(jax.vmap(one, in_axes=(None, 0, 0)))


@pytest.mark.parametrize("scale", [0.4, 1.0])
def test_the_log_determinant_is_that_of_the_jacobian_which_is_positive(step_and_latent, moved, scale):
    step, latent, context = step_and_latent
    params = randomized(step.init(jax.random.key(2), latent, context), scale)
    found, log_determinant, jacobian = moved(params, latent, context)
    sign, expected = np.linalg.slogdet(np.float64(jacobian))
    np.testing.assert_array_equal(sign, 1.0)
    # A float32 Jacobian has its determinant's logarithm to about 1e-6 times its condition, and a spline where it is all
    # but flat its derivative as a difference of numbers near 1.
    tolerance = 3e-6 * (np.linalg.cond(jacobian) + np.exp(np.abs(expected)))
    assert np.all(np.abs(log_determinant - expected) < 1e-4 + tolerance)
    assert np.abs(found - latent).max() > 0.1


def test_it_starts_near_the_identity_and_can_leave_it(step_and_latent, moved):
    step, latent, context = step_and_latent
    params = step.init(jax.random.key(3), latent, context)
    found, log_determinant, _ = moved(params, latent, context)
    # The gate of the autoregressive step starts at 0.88.
    assert np.abs(found - latent).max() < 0.2 * np.abs(latent).max()
    assert np.abs(log_determinant).max() < 0.25 * latent.shape[1]
    gradient = jax.grad(lambda params: jnp.sum(jnp.sin(moved(params, latent, context)[0] + 0.3)))(params)
    assert ravel_pytree(gradient)[0].any()


@pytest.mark.parametrize("name", [name for name, latents in CASES if latents == 1])
def test_one_latent_is_moved_monotonically(name):
    step = steps(1)[name]
    grid = jnp.linspace(-6.0, 6.0, 20_001)[:, None]
    context = jnp.ones((len(grid), CONTEXT))
    for scale in (0.5, 1.5):
        params = randomized(step.init(jax.random.key(4), grid, context), scale)
        values, log_derivative = jax.jit(step.apply)(params, grid, context)
        rise = np.diff(np.float64(values[:, 0]))
        assert rise.min() > -1e-6 * np.abs(values).max()
        # The integral of the derivative, by the trapezoidal rule.
        area = np.trapezoid(np.exp(np.float64(log_derivative)), np.float64(grid[:, 0]))
        np.testing.assert_allclose(area, values[-1, 0] - values[0, 0], rtol=2e-2)


def test_a_planar_step_is_flowjax_s():
    step, latent = PlanarStep(), jax.random.normal(jax.random.key(5), (1, 4))
    context = jnp.zeros((1, CONTEXT))
    params = randomized(step.init(jax.random.key(7), latent, context), 1.0)
    push, normal, offset = (np.float64(params["params"][name]["bias"]) for name in ("push", "normal", "offset"))
    # Both move u along w to keep w.u above -1, by different functions: the u that theirs makes the same of.
    along = normal @ push
    kept = np.log1p(np.exp(along + np.log(np.e - 1))) - 1
    theirs = np.log(np.expm1(np.exp(kept + 1) - 1))
    push = push + (theirs - along) / (normal @ normal) * normal
    planar = bijections.Planar(jax.random.key(0), dim=4)
    planar = eqx.tree_at(lambda one: one.params, planar, jnp.asarray([*normal, *push, *offset], jnp.float32))
    expected, log_determinant = planar.transform_and_log_det(latent[0])
    found, of_step = step.apply(params, latent, context)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)
    np.testing.assert_allclose(of_step[0], log_determinant, rtol=1e-4)


def test_a_radial_step_is_the_paper_s_formula():
    step, latent = RadialStep(), jax.random.normal(jax.random.key(5), (1, 3))
    context = jnp.zeros((1, CONTEXT))
    params = randomized(step.init(jax.random.key(7), latent, context), 1.0)
    center, shape = (np.float64(params["params"][name]["bias"]) for name in ("center", "shape"))
    alpha, beta = np.log1p(np.exp(shape + np.log(np.e - 1)))
    beta = alpha * (beta - 1)
    away = np.float64(latent[0]) - center
    radius = np.linalg.norm(away)
    near = 1 / (alpha + radius)
    found, of_step = step.apply(params, latent, context)
    np.testing.assert_allclose(found[0], latent[0] + beta * near * away, rtol=1e-5)
    # Equation 14, with h' = -h^2.
    expected = 2 * np.log(1 + beta * near) + np.log(1 + beta * near - beta * near**2 * radius)
    np.testing.assert_allclose(of_step[0], expected, rtol=1e-4)


def test_a_spline_is_flowjax_s_with_the_same_knots_and_is_inverted_by_it():
    bins, bound = 5, 3.0
    generator = np.random.default_rng(0)
    widths, heights = 1.5 * generator.normal(size=(2, bins))
    slopes = 2.0 * generator.normal(size=bins - 1)
    values = jnp.linspace(-4.0, 4.0, 81)
    alike = [jnp.tile(jnp.asarray(of, jnp.float32)[None], (81, 1)) for of in (widths, heights, slopes)]
    found, log_derivative = rational_quadratic_spline(values, *alike, bound)
    knots = [
        bound * (2 * np.cumsum(np.append(0, 1e-3 + (1 - 1e-3 * bins) * np.exp(of) / np.exp(of).sum())) - 1)
        for of in (widths, heights)
    ]
    inner = 1e-3 + (1 - 1e-3) * np.log1p(np.exp(slopes + np.log(np.e - 1)))
    spline = bijections.RationalQuadraticSpline(knots=bins - 1, interval=bound)
    parts = [jnp.asarray(of, jnp.float32) for of in (*knots, np.concatenate([[1.0], inner, [1.0]]))]
    spline = eqx.tree_at(lambda one: (one.x_pos, one.y_pos, one.derivatives), spline, tuple(parts))
    expected, log_expected = jax.vmap(spline.transform_and_log_det)(values)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(log_derivative, log_expected, rtol=1e-3, atol=1e-4)
    # The quadratic's root loses digits where a bin is steep.
    back, _ = jax.vmap(spline.inverse_and_log_det)(found)
    np.testing.assert_allclose(back, values, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("second", [False, True])
def test_a_coupling_is_inverted_by_undoing_its_moved_half(second):
    step, latent = CouplingStep(second, 7, 2), jax.random.normal(jax.random.key(0), (ROWS, 5))
    context = jax.random.normal(jax.random.key(1), (ROWS, CONTEXT))
    params = randomized(step.init(jax.random.key(2), latent, context), 0.7)
    moved, log_determinant = step.apply(params, latent, context)
    kept = slice(3, 5) if second else slice(0, 2)
    rest = slice(0, 3) if second else slice(2, 5)
    np.testing.assert_array_equal(moved[:, kept], latent[:, kept])
    # Shift and scale depend on the kept half alone: at two other values of the moved half they show themselves.
    at = [step.apply(params, latent.at[:, rest].set(value), context)[0][:, rest] for value in (0.0, 1.0)]
    shift, scale = at[0], at[1] - at[0]
    np.testing.assert_allclose((moved[:, rest] - shift) / scale, latent[:, rest], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.log(scale).sum(axis=-1), log_determinant, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["planar", "radial", "iaf", "coupling", "neural_spline"])
def test_a_flow_is_its_steps_one_after_another_on_the_start_s_draw(name):
    flow = REGISTRY[name](steps=2).build(latents=3)
    assert isinstance(flow, NormalizingFlow)
    hidden = jax.random.normal(jax.random.key(0), (ROWS, 4))
    params = randomized(flow.init(jax.random.key(1), hidden, method="center"), 0.2)
    draw = jax.jit(flow.apply)(params, jax.random.key(2), hidden, prior(ROWS, 3))
    own = params["params"]
    latent, log_q, _ = DiagonalGaussian(3).apply({"params": own["start"]}, jax.random.key(2), hidden, prior(ROWS, 3))
    context = hidden @ own["contexts"]["kernel"] + own["contexts"]["bias"][None]
    for index, step in enumerate(flow.moves):
        latent, of_step = step.apply({"params": own[f"moves_{index}"]}, latent, context)
        log_q = log_q - of_step
    np.testing.assert_allclose(draw.latent, latent, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(draw.log_q, log_q, rtol=1e-4, atol=1e-4)
