import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from ctc_jax.layers import LocalWinnerTakeAll
from tests.layers.conftest import assert_close_to_mean, call, many

KEY = jax.random.key(0)
FEATURES = jax.random.normal(jax.random.key(1), (3, 6))


def hard(features, block):
    """The first largest unit of each block, by a loop."""
    out = np.zeros_like(features)
    for index in np.ndindex(*features.shape[:-1]):
        for start in range(0, features.shape[-1], block):
            winner = start + int(np.argmax(features[index][start : start + block]))
            out[(*index, winner)] = features[(*index, winner)]
    return out


@pytest.mark.parametrize(("beta", "block"), [(1e6, 3), (math.inf, 2), (math.inf, 6)])
def test_its_limit_is_hard_lwta(beta, block):
    found = call(LocalWinnerTakeAll(block, beta=beta), {}, KEY, FEATURES)
    np.testing.assert_array_equal(found.value, hard(np.asarray(FEATURES), block))


def test_at_a_tie_the_hard_limit_takes_the_first():
    features = jnp.array([[1.0, 1.0, -2.0, -1.0, -1.0, -1.0]])
    found = call(LocalWinnerTakeAll(3, beta=math.inf), {}, KEY, features)
    np.testing.assert_array_equal(found.value, [[1.0, 0, 0, -1.0, 0, 0]])


def test_the_gradient_of_the_hard_limit_is_that_of_the_winners():
    layer = LocalWinnerTakeAll(3, beta=math.inf)
    gradient = jax.jit(jax.grad(lambda features: layer.apply({}, KEY, features).value.sum()))(FEATURES)
    np.testing.assert_array_equal(gradient, hard(np.asarray(FEATURES), 3) != 0)


def test_winners_follow_the_softmax_of_their_block():
    found = many(LocalWinnerTakeAll(3, beta=1.5), {}, FEATURES)
    probs = softmax(1.5 * np.float64(FEATURES).reshape(3, 2, 3), axis=-1)
    assert_close_to_mean(found.mask, probs)
    np.testing.assert_array_equal(found.value, found.mask.reshape(-1, 3, 6) * FEATURES[None])
    np.testing.assert_allclose(found.kl[0], (probs * np.log(3 * probs)).sum(-1), rtol=1e-4)


def test_it_takes_feature_maps():
    features = jax.random.normal(KEY, (2, 3, 3, 4))
    layer = LocalWinnerTakeAll(2, beta=None, gaussian=True)
    found = jax.eval_shape(lambda: layer.init_with_output(KEY, KEY, features)[0])
    assert found.value.shape == features.shape
    assert found.mask.shape == (2, 3, 3, 2, 2)
    assert found.kl.shape == (2, 3, 3, 2)


def test_blocks_that_leave_no_choice_or_do_not_divide_the_units_are_refused():
    with pytest.raises(ValueError, match=r"^block of K = 1 units leaves no choice; allowed: 2 or more$"):
        LocalWinnerTakeAll(1)
    with pytest.raises(ValueError, match=r"^blocks of 4 do not divide the units, 6; allowed: "):
        LocalWinnerTakeAll(4).check_units(6)
    with pytest.raises(ValueError, match=r"^blocks of 4 do not divide the units, 6; allowed: "):
        LocalWinnerTakeAll(4).init(KEY, KEY, FEATURES)
