import jax.numpy as jnp
import numpy as np

from ctc_jax.gradients.temperature import Temperature


def test_it_falls_by_equal_factors_and_stays():
    schedule = Temperature(1.0, 0.25, 10)
    steps = [0, 5, 10, 99]
    np.testing.assert_allclose([schedule(jnp.int32(step)) for step in steps], [1.0, 0.5, 0.25, 0.25], rtol=1e-6)
    assert schedule(None) == 0.25


def test_without_steps_it_is_constant():
    assert Temperature(0.5, 1.0, 0)(jnp.int32(3)) == Temperature(0.5, 1.0, 0)(None) == 0.5
