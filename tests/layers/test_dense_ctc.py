"""Codes by their parameters: moments, limits, starts."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax

from ctc_jax.distributions import BERNOULLI, CATEGORICAL
from ctc_jax.layers import DenseCTC
from tests.layers.conftest import with_gradient

MASKS, CATEGORIES = 3, 4
# Kind, whether masks multiply values, beta.
CODES = {
    "bernoulli": (BERNOULLI, False, None),
    "categorical": (CATEGORICAL, False, None),
    "bernoulli_ctc": (BERNOULLI, True, None),
    "ctc": (CATEGORICAL, True, None),
    "relu": (BERNOULLI, True, 0.7),
    "lwta": (CATEGORICAL, True, 0.7),
}


def code(name, beta=None):
    kind, valued, of_code = CODES[name]
    return DenseCTC(kind, MASKS, CATEGORIES, valued, beta or of_code)


def parameters_of(of, seed=0):
    return jax.random.normal(jax.random.key(seed), (2, of.parameters))


def parts(name, parameters):
    """Probabilities, locations and scales in float64, from the parameters alone."""
    kind, valued, beta = CODES[name]
    shape = (2, MASKS, CATEGORIES) if kind is CATEGORICAL else (2, MASKS)
    split = np.split(np.float64(parameters), (beta is None) + 2 * valued, axis=-1)
    split = [part.reshape(shape) for part in split]
    loc, scale = (split[-2], np.exp(split[-1])) if valued else (np.ones(shape), np.zeros(shape))
    logits = split[0] if beta is None else beta * loc
    return expit(logits) if kind is BERNOULLI else softmax(logits, axis=-1), loc, scale


@pytest.mark.parametrize("name", CODES)
def test_it_is_gaussians_at_each_place_and_the_masks_over_them(name):
    of = code(name)
    q = of.distribution(parameters_of(of))
    probs, loc, scale = parts(name, parameters_of(of))
    np.testing.assert_allclose(of.kind.probs(q.logits), probs, rtol=1e-5)
    assert probs.shape[1:] == of.shape
    assert of.units == math.prod(of.shape)
    if CODES[name][1]:
        np.testing.assert_allclose(q.values.loc, loc, rtol=1e-6)
        np.testing.assert_allclose(q.values.scale, scale, rtol=1e-5)
    np.testing.assert_allclose(q.center.product, probs * loc, rtol=1e-4)
    of_values = 0.5 * (scale**2 + loc**2 - 1) - np.log(scale) if CODES[name][1] else 0.0
    if of.kind is BERNOULLI:
        expected = probs * (np.log(2 * probs) + of_values) + (1 - probs) * np.log(2 * (1 - probs))
    else:
        expected = probs * (np.log(CATEGORIES * probs) + of_values)
    standard = of.distribution(jnp.zeros((2, of.parameters)))  # uniform masks times N(0, 1)
    np.testing.assert_allclose(q.kl(standard), expected.reshape(2, -1).sum(-1), rtol=1e-4)


def test_the_limit_of_tied_choices_is_the_largest_location_of_a_block_with_the_gradient_of_the_winners():
    """Hard local winner-take-all (Srivastava et al. 2013), values at their locations."""
    of = code("lwta", math.inf)
    parameters = parameters_of(of).at[:, of.units :].set(-50.0)  # scales at their smallest, exp(-8)
    _, loc, _ = parts("lwta", parameters)
    wins = np.eye(CATEGORIES)[loc.argmax(-1)]
    value, gradient = with_gradient(
        lambda parameters: of.distribution(parameters).sample(jax.random.key(1)).product,
        jnp.ones((2, MASKS, CATEGORIES)),
        parameters,
    )
    np.testing.assert_allclose(value, wins * loc, atol=6 * np.exp(-8))
    np.testing.assert_array_equal(gradient[:, : of.units], wins.reshape(2, -1))
    large = code("lwta", 1e5).distribution(parameters).sample(jax.random.key(1)).product
    np.testing.assert_allclose(large, value, atol=1e-6)


def test_the_limit_of_tied_gates_is_relu_with_its_gradient():
    of = code("relu", math.inf)
    parameters = parameters_of(of).at[:, of.units :].set(-50.0)
    loc = np.asarray(parameters[:, : of.units])
    value, gradient = with_gradient(
        lambda parameters: of.distribution(parameters).sample(jax.random.key(1)).product,
        jnp.ones((2, MASKS)),
        parameters,
    )
    np.testing.assert_allclose(value, np.maximum(loc, 0), atol=6 * np.exp(-8))
    np.testing.assert_array_equal(gradient[:, : of.units], loc > 0)


@pytest.mark.parametrize("name", ["ctc", "lwta"])
def test_permuting_the_places_permutes_the_code(name):
    of = code(name)
    parameters = parameters_of(of)
    rolled = jnp.roll(parameters.reshape(2, -1, MASKS, CATEGORIES), 1, axis=2).reshape(2, -1)
    q, p = (of.distribution(parameters) for parameters in (parameters, rolled))
    np.testing.assert_allclose(np.roll(q.center.product, 1, axis=1), p.center.product, rtol=1e-5)


@pytest.mark.parametrize("name", CODES)
def test_a_code_starts_by_saying_much_of_its_image_and_with_scales_near_one(name):
    of = DenseCTC(CODES[name][0], 20, 10, *CODES[name][1:])
    kernel = np.asarray(of.start(jax.random.key(0), (50, of.parameters), jnp.float32))
    scales = of.units if of.valued else 0
    told, small = kernel[:, : of.parameters - scales], kernel[:, of.parameters - scales :]
    np.testing.assert_allclose(told.std(), 50**-0.5, rtol=0.1)
    if of.valued:
        np.testing.assert_allclose(small.std(), 0.1 * 50**-0.5, rtol=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masks": 0}, r"^0 masks; allowed: 1 or more$"),
        ({"categories": 1}, r"^K = 1 categories leave no choice; allowed: 2 or more$"),
        ({"beta": 0.0}, r"^beta is 0\.0; allowed: above 0 and with values, or None for free logits$"),
        ({"beta": math.nan}, r"^beta is nan; allowed"),
        ({"beta": 1.0, "valued": False}, r"^beta is 1\.0; allowed: above 0 and with values"),
    ],
)
def test_a_code_without_a_choice_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        DenseCTC(**{"kind": CATEGORICAL, "masks": 3, "categories": 4, "valued": True, **changes})
