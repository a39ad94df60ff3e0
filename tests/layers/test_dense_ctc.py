import math

import jax
import numpy as np
import pytest
from scipy.special import log_softmax

from ctc_jax.layers import DenseCTC
from tests.layers.conftest import assert_close_to_mean, call, many, randomized

KEY = jax.random.key(0)
FEATURES = jax.random.normal(jax.random.key(1), (2, 5))


def built(**options):
    layer = DenseCTC(masks=3, categories=4, **options)
    return layer, randomized(layer, FEATURES, method="distribution")


def dense(params, name):
    layer = params["params"]["loc"] if name == "loc" else params["params"]["parameters"][name]
    return (np.float64(FEATURES) @ np.float64(layer["kernel"]) + np.float64(layer["bias"])).reshape(2, 3, 4)


@pytest.mark.parametrize("beta", [None, 0.7])
def test_it_is_k_gaussians_a_place_and_the_masks_over_them(beta):
    layer, params = built(beta=beta)
    loc, scale = dense(params, "loc"), np.exp(dense(params, "log_scale"))
    log_q = log_softmax(dense(params, "logits") if beta is None else beta * loc, axis=-1)
    found = many(layer, params, FEATURES)
    probs = np.exp(log_q)
    assert_close_to_mean(found.mask, probs)
    assert_close_to_mean(found.value, probs * loc)
    assert_close_to_mean(found.value**2, probs * (loc**2 + scale**2))
    of_values = 0.5 * (scale**2 + loc**2 - 1 - np.log(scale**2))
    expected = (probs * (log_q + np.log(4) + of_values)).sum(-1)
    np.testing.assert_allclose(found.kl[0], expected, rtol=1e-4)
    assert found.value.shape[1:] == found.mask.shape[1:] == (2, 3, 4)


def test_with_certain_masks_and_values_it_is_the_largest_location():
    layer, params = built(beta=math.inf, gaussian=False)
    loc = dense(params, "loc")
    expected = np.where(np.eye(4)[loc.argmax(-1)] > 0, loc, 0.0)
    np.testing.assert_allclose(call(layer, params, KEY, FEATURES).value, expected, rtol=1e-4)


def test_permuting_the_places_permutes_the_code():
    layer, params = built()
    rolled = jax.tree.map(
        lambda of: np.roll(np.asarray(of).reshape(*of.shape[:-1], 3, 4), 1, axis=-2).reshape(of.shape), params
    )
    q, p = (call(layer, of, FEATURES, method="distribution") for of in (params, rolled))
    np.testing.assert_allclose(np.roll(q.mean, 1, axis=1), p.mean, rtol=1e-5)


@pytest.mark.parametrize(
    ("masks", "categories", "message"),
    [
        (0, 4, r"^0 masks; allowed: 1 or more$"),
        (3, 1, r"^K = 1 categories leave no choice; allowed: 2 or more$"),
    ],
)
def test_a_code_without_a_choice_is_refused(masks, categories, message):
    with pytest.raises(ValueError, match=message):
        DenseCTC(masks, categories)
