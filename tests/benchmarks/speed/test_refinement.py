from types import SimpleNamespace

import numpy as np

from benchmarks.speed import refinement


class Chains:
    """Accepts the more the smaller its steps; log p(x, z) rises by 1 a move."""

    def infer(self, images, *, method, step_size=0.1, chains=1, warmup=0, draws=1):
        shape = (chains, len(images))
        rises = np.arange(1.0, draws + 1)[:, None, None] * np.ones(shape)
        accepted = np.full(shape, np.exp(-step_size / 0.1))
        return SimpleNamespace(acceptance=accepted, log_joint=rises - 3.0, start=np.full(shape, -3.0))


def test_step_sizes_are_those_of_the_best_acceptance():
    # exp(-0.05 / 0.1) = 0.61 is the nearest of the sizes to both.
    for method in ("mala", "hmc", "langevin"):
        assert refinement.tuned(Chains(), method, np.zeros((2, 1))) == 0.05


def test_gains_are_counted_from_the_start():
    curve = refinement.refined(Chains(), "mala", np.zeros((2, 1)), 20, step_size=0.1, chains=3)
    np.testing.assert_allclose(curve["gains"], np.arange(1, 21))
    found = refinement.row("mala", curve)
    assert (found["gain after 1_nats"], found["gain after 10_nats"]) == (1.0, 10.0)
    assert "gain after 100_nats" not in found
    np.testing.assert_allclose(found["gain a second in the first 10 moves_nats"], 1.0 / curve["seconds"])
