import pytest

from benchmarks.claims.choice import FACTORS, differences, pairs, row, row_name
from benchmarks.harness import machine
from configs.choice_claim import get_config
from ctc_jax.sweeps.expand import load_sweep


def trials(factor):
    return load_sweep(str(machine.ROOT / factor.sweep), get_config(factor.preset)).trials


@pytest.mark.parametrize("factor", FACTORS.values(), ids=FACTORS)
def test_rows_have_names_of_their_own_and_three_seeds_and_masks_are_compared(factor):
    runs = trials(factor)
    found = {(run.overrides["seed"], row_name(run.overrides)) for run in runs}
    names = {name for _, name in found}
    assert len(found) == len(runs) == 3 * len(names)
    assert {seed for seed, _ in found} == {0, 1, 2}
    compared = {one for one, _ in pairs(names)}
    assert compared == {name for name in names if name.startswith("ctc")} | ({"lwta", "none"} & names)


def test_the_row_that_two_sweeps_share_is_one_run():
    shared = {run.name for run in trials(FACTORS["depth"])} & {run.name for run in trials(FACTORS["combinations"])}
    assert len(shared) == 6


def test_masks_are_compared_with_the_gaussian_that_has_all_else_alike():
    names = ["gaussian, depth 0", "ctc_pool, depth 0", "ctc_pool, depth 1"]
    assert pairs(names) == [("ctc_pool, depth 0", "gaussian, depth 0")]
    assert pairs(["gaussian", "logistic", "ctc"]) == [("ctc", "gaussian"), ("ctc", "logistic")]


def figures(bounds):
    return {
        seed: {
            "elbo_nats": bound,
            "log_likelihood_nats": bound + 5.0,
            "kl_nats/top": 2.0,
            "kl_nats/level_1": 3.0,
            "mask_kl_nats/level_1": 1.0,
            "importance_bound_nats": bound + 1.0,
        }
        for seed, bound in enumerate(bounds)
    }


def test_a_row_is_rate_distortion_and_minus_their_sum_and_masks_are_within_the_rate():
    line = row("ctc_pool, depth 0", figures([-10.0, -14.0]))
    assert line["rate_nats"] == 5.0
    assert line["rate_nats"] + line["distortion_nats"] == -line["bound_nats"] == 12.0
    assert line["error of the bound_nats"] == pytest.approx(2.0)
    assert (line["level 1_nats"], line["masks of level 1_nats"]) == (3.0, 1.0)


def test_differences_are_of_pairs_of_a_seed_and_more_is_better():
    rows = {"gaussian": figures([-1.2, -3.3, -5.4]), "ctc_pool": figures([-1.0, -3.0, -5.0])}
    line = differences(rows)[0]
    assert (line["row"], line["less"], line["seeds"]) == ("ctc_pool", "gaussian", 3)
    assert line["bound, nats"] == "+0.300 ± 0.058, better"
