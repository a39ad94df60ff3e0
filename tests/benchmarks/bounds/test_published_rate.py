import math

import numpy as np

from benchmarks.bounds.published_rate import LAST, figures


def test_what_is_said_of_steps_counts_what_was_skipped_and_not_finite_and_scales_norms():
    steps, shape = 2 * LAST, (2, 2, 3)
    elbo = np.full(steps, -12 * math.log(2))
    norms = np.full(steps, 24.0)
    norms[7], norms[9], elbo[9], elbo[0] = 120.0, np.inf, np.nan, -24 * math.log(2)
    skipped = np.zeros(steps)
    skipped[[7, 8]] = 1.0
    found = figures({"elbo_nats": elbo, "gradient_norm": norms, "skipped_share": skipped}, shape)
    assert (found["steps"], found["not finite"], found["skipped"], found["first skipped"]) == (steps, 1, 2, 8)
    assert (found["median norm"], found["largest norm"]) == (2.0, 10.0)
    np.testing.assert_allclose([found["first bound_bpd"], found["last bound_bpd"]], [2.0, 1.0])
