import jax.numpy as jnp
import numpy as np

from ctc_jax.gradients import STGumbel


def test_it_falls_by_equal_factors_and_stays():
    estimator = STGumbel(temperature=1.0, temperature_end=0.25, temperature_steps=10)
    steps = [0, 5, 10, 99]
    np.testing.assert_allclose(
        [estimator.temperature_at(jnp.int32(step)) for step in steps], [1.0, 0.5, 0.25, 0.25], rtol=1e-6
    )
    assert estimator.temperature_at(None) == 0.25


def test_without_steps_it_is_constant():
    estimator = STGumbel(temperature=0.5, temperature_end=1.0)
    assert estimator.temperature_at(jnp.int32(3)) == estimator.temperature_at(None) == 0.5
