import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.layers import NeighborhoodSchedule


@pytest.mark.parametrize(("step", "sigma"), [(0, 4.0), (25, 3.25), (50, 2.5), (100, 1.0), (10**6, 1.0), (None, 1.0)])
def test_sigma_falls_linearly_and_stays(step, sigma):
    np.testing.assert_allclose(NeighborhoodSchedule(4.0, 1.0, 100)(step), sigma, rtol=1e-6)


@pytest.mark.parametrize("step", [7, 8, 1000, None])
def test_the_end_is_exactly_zero_also_in_a_trace(step):
    schedule = NeighborhoodSchedule(3.3, 0.0, 7)
    assert schedule(step) == 0.0
    if step is not None:
        assert jax.jit(schedule)(jnp.int32(step)) == 0.0


def test_without_steps_it_is_the_end():
    assert NeighborhoodSchedule(4.0, 2.0)(0) == 2.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": -1.0}, r"^neighborhood start is -1.0; allowed: finite, 0 or more$"),
        ({"end": math.inf}, r"^neighborhood end is inf;"),
        ({"end": math.nan}, r"^neighborhood end is nan;"),
        ({"steps": -3}, r"^neighborhood steps is -3;"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NeighborhoodSchedule(**options)
