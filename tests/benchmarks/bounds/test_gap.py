import numpy as np
import pytest

from benchmarks.bounds.gap import row
from ctc_jax.evaluation import Gap


def test_the_two_parts_are_the_whole_gap():
    bound, best, elbo = np.array([-1.0, -3.0]), np.array([-2.0, -5.0]), np.array([-5.0, -9.0])
    found = row("flat", Gap(bound, None, best, elbo))
    assert found["annealed bound_nats"] is None
    assert (found["approximation gap_nats"], found["amortization gap_nats"]) == (1.5, 3.5)
    assert found["log p(x)_nats"] - found["ELBO_nats"] == 5.0
    assert found["its error_nats"] == pytest.approx(0.5)
    higher = row("flat", Gap(bound, bound + 0.25, best, elbo))
    assert (higher["log p(x)_nats"], higher["importance bound_nats"]) == (-1.75, -2.0)
