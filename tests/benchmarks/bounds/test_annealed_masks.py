import numpy as np
import pytest

from benchmarks.bounds.annealed_masks import MASKS, row
from ctc_jax.inference import Annealed, AnnealingOptions


def test_the_distance_is_that_of_the_bounds_on_the_model_s_own_images():
    forward = Annealed(np.log([[1.0, 3.0], [3.0, 5.0]]), np.array([0.5, 0.7]))
    reverse = Annealed(np.log([[4.0, 8.0]]), np.ones(2))
    found = row(AnnealingOptions(temperatures=7), np.array([-3.0, -5.0]), forward, reverse)
    # Lower bounds: logs of the means 2 and 4; upper ones: logs of 4 and 8.
    assert found["upper less lower, own images_nats"] == pytest.approx(np.log(2.0))
    assert found["its error_nats"] == pytest.approx(0.0, abs=1e-9)
    assert (found["lower bound, test images_nats"], found["accepted"]) == (-4.0, pytest.approx(0.6))
    assert (found["temperatures"], found["windows"]) == (7, 16)
    assert row(AnnealingOptions(windows=0), np.zeros(2), forward, reverse)["windows"] == MASKS
