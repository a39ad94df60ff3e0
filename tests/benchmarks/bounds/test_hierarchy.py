import pytest

from benchmarks.bounds.hierarchy import row


def test_a_row_has_the_means_over_seeds_and_the_standard_error_of_the_bound():
    tests = [
        {"elbo_nats": elbo, "importance_bound_nats": elbo + 2.0, "kl_nats/level_1": kl, "masks_used/level_1": 0.5}
        for elbo, kl in ((-90.0, 1.0), (-92.0, 3.0), (-94.0, 2.0))
    ]
    found = row("ctc_pool", tests, [{"steps": 10, "parameters": 7, "training_seconds": s} for s in (1.0, 2.0, 3.0)])
    assert found["elbo_nats"] == -92.0
    assert found["standard error over seeds_nats"] == pytest.approx(2.0 / 3**0.5)
    assert (found["importance bound_nats"], found["kl level 1"], found["masks used level 1"]) == (-90.0, 2.0, 0.5)
    assert (found["steps"], found["training_seconds"], found["seeds"]) == (10, 2.0, 3)


def test_one_seed_has_no_standard_error():
    test = {"elbo_nats": -90.0, "importance_bound_nats": -88.0}
    assert row("flat", [test], [{"steps": 1}])["standard error over seeds_nats"] is None
