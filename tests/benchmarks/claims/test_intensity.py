import importlib

import pytest

from benchmarks.claims.intensity import PRESETS, SWEEP, differences, row, row_name
from benchmarks.harness import machine
from ctc_jax.sweeps.expand import load_sweep


@pytest.mark.parametrize("preset", PRESETS.values())
def test_rows_have_names_of_their_own_and_three_seeds(preset):
    base = importlib.import_module("configs.intensity_claim").get_config(preset)
    trials = load_sweep(str(machine.ROOT / SWEEP), base).trials
    rows = {(trial.overrides["seed"], row_name(trial.overrides)) for trial in trials}
    assert len(rows) == len(trials) == 36
    assert {name for _, name in rows} >= {"gaussian", "bernoulli_ctc", "categorical of 64", "ctc of 4"}


def figures(bounds, rate=5.0):
    return {
        seed: {
            "elbo_nats": bound,
            "kl_nats/z": rate,
            "log_likelihood_nats": bound + rate,
            "importance_bound_nats": bound + 1.0,
        }
        for seed, bound in enumerate(bounds)
    }


def test_a_row_is_rate_distortion_and_minus_their_sum():
    line = row("gaussian", figures([-10.0, -14.0]))
    assert line["rate_nats"] + line["distortion_nats"] == -line["bound_nats"] == 12.0
    assert line["error of the bound_nats"] == pytest.approx(2.0)
    assert "rate of masks_nats" not in line


def test_differences_are_of_pairs_of_a_seed_and_more_is_better():
    found = {"ctc of 8": figures([-1.0, -3.0, -5.0]), "categorical of 8": figures([-1.2, -3.3, -5.4])}
    line = differences(found)[1]
    assert (line["categories"], line["ctc less categorical"]) == (8, "+0.300 ± 0.058, better")
    assert "ctc less gaussian" not in line
