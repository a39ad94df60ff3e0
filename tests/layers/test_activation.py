import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from ctc_jax.layers import activation
from ctc_jax.layers.activation import LeakyReLU

ORACLES = {
    "silu": lambda x: x * expit(x),
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
}


def test_every_activation_has_an_oracle():
    assert set(activation.REGISTRY) == set(ORACLES)


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_activation_equals_its_definition(name):
    x = np.linspace(-4.0, 4.0, 17).astype(np.float32)
    np.testing.assert_allclose(activation.REGISTRY[name](jnp.asarray(x)), ORACLES[name](x), rtol=1e-5, atol=1e-6)


def test_the_slope_holds_below_zero_alone():
    np.testing.assert_allclose(LeakyReLU(0.3)(jnp.array([-2.0, 0.0, 5.0])), [-0.6, 0.0, 5.0], rtol=1e-6)


def test_two_of_one_slope_are_one_static_argument():
    assert LeakyReLU(0.3) == LeakyReLU(0.3)
    assert hash(LeakyReLU(0.3)) == hash(LeakyReLU(0.3))
    assert LeakyReLU(0.3) != LeakyReLU(0.01)
