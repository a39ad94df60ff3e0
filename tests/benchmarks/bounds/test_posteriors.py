from types import SimpleNamespace

import pytest

from benchmarks.bounds import posteriors
from benchmarks.bounds.posteriors import row


def test_a_row_has_the_means_over_seeds_and_what_was_published(monkeypatch):
    figures = {"steps": 10, "parameters": 7, "training_seconds": 3.0, "images_per_second": 5.0}
    monkeypatch.setattr(posteriors, "training_figures", lambda run: figures)
    runs = [
        SimpleNamespace(
            history=[
                {"split": "test", "elbo_nats": elbo, "importance_bound_nats": elbo + 2, "importance_samples": 100.0}
            ]
        )
        for elbo in (-90.0, -92.0, -94.0)
    ]
    found = row("iaf", runs)
    assert (found["elbo_nats"], found["importance bound_nats"], found["K"]) == (-92.0, -90.0, 100)
    assert found["standard error over seeds_nats"] == pytest.approx(2.0 / 3**0.5)
    assert found["published elbo, larger network_nats"] == -84.20
    assert row("radial", runs)["published elbo, larger network_nats"] is None
