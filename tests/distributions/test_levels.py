import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.distributions import (
    DiscretizedGaussian,
    DiscretizedLogistic,
    GroupedCTC,
    IndependentPixels,
    MaskGroup,
    PixelBernoulli,
    PixelCategorical,
)
from ctc_jax.distributions.levels import channels_first, told_levels

SHAPE = (1, 2, 2, 1)
DISTRIBUTIONS = {
    "bernoulli": (2, IndependentPixels(PixelBernoulli(jnp.full(SHAPE, 0.3)))),
    "categorical": (10, IndependentPixels(PixelCategorical(jnp.ones((*SHAPE, 10))))),
    "gaussian": (8, IndependentPixels(DiscretizedGaussian(jnp.full(SHAPE, 3.0), jnp.zeros(SHAPE), bits=3))),
    "logistic": (8, IndependentPixels(DiscretizedLogistic(jnp.full(SHAPE, 3.0), jnp.zeros(SHAPE), bits=3))),
    "ctc": (8, GroupedCTC(jnp.zeros((1, 2, 2, 2)), jnp.ones((1, 2, 2, 2, 1)), jnp.ones((1, 2, 2, 2, 1)), bits=3)),
    "ctc-image": (
        8,
        GroupedCTC(
            jnp.zeros((1, 1, 1, 3)),
            jnp.ones((1, 2, 2, 2, 1)),
            jnp.ones((1, 2, 2, 2, 1)),
            bits=3,
            mask_group=MaskGroup(0),
            off=True,
        ),
    ),
}


def test_moves_channels_to_the_front_exactly():
    value = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(channels_first(jnp.asarray(value)), np.moveaxis(value, -1, 0))


def test_what_is_no_level_is_told():
    value = jnp.array([0.0, 3.0, -1.0, 4.0, 1.5, -0.5, jnp.inf, -jnp.inf, jnp.nan])
    levels, outside = told_levels(value, 4)
    np.testing.assert_array_equal(levels, [0, 3, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(outside, [0, 0, *[-np.inf] * 6, np.nan])


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int32, jnp.float32])
def test_only_levels_have_a_mass(name, dtype):
    count, distribution = DISTRIBUTIONS[name]
    numbers = {1.0: True, count - 1.0: True, float(count): False, 200.0: False}
    if dtype != jnp.uint8:
        numbers |= {-1.0: False}
    if dtype == jnp.float32:
        numbers |= dict.fromkeys((1.5, 1e30, np.inf, np.nan), False)
    images = np.ones((len(numbers), *SHAPE), dtype)
    images[:, 0, 1, 0, 0] = list(numbers)
    found = jax.jit(lambda of, x: of.log_prob(x))(distribution, images)[:, 0]
    np.testing.assert_array_equal(np.isfinite(found), list(numbers.values()))
    np.testing.assert_array_equal(found == -np.inf, [not fits and number == number for number, fits in numbers.items()])


@pytest.mark.parametrize("name", ["gaussian", "logistic", "bernoulli"])
def test_pythons_own_numbers_are_parameters_and_values(name):
    if name == "bernoulli":
        plain, arrays = PixelBernoulli(0.3), PixelBernoulli(jnp.float32(0.3))
    else:
        made = {"gaussian": DiscretizedGaussian, "logistic": DiscretizedLogistic}[name]
        plain, arrays = made(1, 0.5, bits=2), made(jnp.float32(1.0), jnp.float32(0.5), bits=2)
    assert plain.log_prob(1) == plain.log_prob(1.0) == arrays.log_prob(jnp.uint8(1))
    assert plain.log_prob(0.5) == -jnp.inf
    assert plain.mean == arrays.mean
    assert plain.sample(jax.random.key(0), (3,)).shape == (3,)
