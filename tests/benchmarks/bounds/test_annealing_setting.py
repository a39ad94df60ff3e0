from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.bounds import annealing_setting
from benchmarks.bounds.annealing_setting import ROWS, row
from configs import mnist_annealing
from ctc_jax import inference


def test_rows_are_the_presets_of_the_config_and_their_bounds_take_its_samples():
    assert set(ROWS) == set(mnist_annealing.PRESETS)
    importance = mnist_annealing.get_config("importance")
    assert ROWS["importance"][0] == importance.objective.importance_weighted.samples
    assert mnist_annealing.get_config("annealed").posterior.annealed_hamiltonian.bridges == 8


def test_the_log_likelihood_is_the_importance_bound_of_all_and_the_difference_of_few(monkeypatch):
    bounds = np.array([-80.0, -90.0, -100.0, -110.0])
    run = SimpleNamespace(
        dataset=SimpleNamespace(test=SimpleNamespace(images=np.zeros((4, 1, 1, 1), np.uint8), labels=np.zeros(4))),
        history=[{"split": "test", "elbo_nats": -97.0}, {"split": "train", "elapsed_seconds": 1.0}],
        config=SimpleNamespace(seed=0),
        model=None,
        params=None,
        log_likelihood=lambda images, labels, importance_samples: bounds - (importance_samples == 8),
    )
    monkeypatch.setattr(annealing_setting, "training_figures", lambda run: {})
    log_weights = jnp.array([[-79.0, -87.0]])
    found = inference.Annealed(np.asarray(log_weights), np.ones(2))
    monkeypatch.setattr(inference, "annealed", lambda *_: found)
    monkeypatch.setattr(inference, "tuned_steps", lambda *_: None)
    figures = row("elbo", run, 1_000, 2, inference.AnnealingOptions())
    assert figures["bound_nats"] == -97.0
    # One and three nats above the bounds of these images.
    assert figures["log-likelihood_nats"] == pytest.approx(-95.0 + 2.0)
    assert figures["its error_nats"] == pytest.approx(1.0)
    assert figures["log-likelihood less published_nats"] == pytest.approx(-93.0 + 88.5)
    assert row("importance", run, 1_000, 2, inference.AnnealingOptions())["bound_nats"] == -96.0
