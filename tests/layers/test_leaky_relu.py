import jax.numpy as jnp
import numpy as np

from ctc_jax.layers.leaky_relu import LeakyReLU


def test_the_slope_holds_below_zero_alone():
    np.testing.assert_allclose(LeakyReLU(0.3)(jnp.array([-2.0, 0.0, 5.0])), [-0.6, 0.0, 5.0], rtol=1e-6)


def test_two_of_one_slope_are_one_static_argument():
    assert LeakyReLU(0.3) == LeakyReLU(0.3)
    assert hash(LeakyReLU(0.3)) == hash(LeakyReLU(0.3))
    assert LeakyReLU(0.3) != LeakyReLU(0.01)
