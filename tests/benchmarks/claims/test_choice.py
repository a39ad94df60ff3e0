import pytest

from benchmarks.claims.choice import FACTORS, differences, judges, pairs, rates, row, row_name
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


@pytest.mark.parametrize("factor", ["combinations", "values"])
def test_the_rows_that_two_sweeps_share_are_one_run(factor):
    shared = {run.name for run in trials(FACTORS["depth"])} & {run.name for run in trials(FACTORS[factor])}
    assert len(shared) == 6


def test_masks_are_compared_with_the_gaussian_that_has_all_else_alike():
    names = ["gaussian, depth 0", "ctc_pool, depth 0", "ctc_pool, depth 1"]
    assert pairs(names) == pairs([*names, "gaussian, 2 digits"]) == [("ctc_pool, depth 0", "gaussian, depth 0")]
    alone = ["gaussian, depth 1", "ctc_pool, depth 1", "ctc_pool, depth 1, channels 32"]
    assert pairs(alone) == [(name, "gaussian, depth 1") for name in alone[1:]]
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


def point(rate, distortion):
    return {"kl_nats/level_3": rate, "log_likelihood_nats": -distortion}


def test_rates_are_compared_at_the_least_distortion_that_both_reach():
    """Gaussian: 10 nats at a distortion of 20, 30 at 10. Masks end at 16: 12 nats, where the line above has 18."""
    rows = {
        "gaussian, channels 1": {0: point(10.0, 20.0), 1: point(10.0, 20.0)},
        "gaussian, channels 2": {0: point(30.0, 10.0), 1: point(30.0, 10.0)},
        "ctc_pool, channels 1": {0: point(8.0, 25.0), 1: point(8.0, 25.0)},
        "ctc_pool, channels 2": {0: point(12.0, 16.0), 1: point(13.0, 16.0)},
    }
    (line,) = rates(rows)
    assert (line["at a distortion of_nats"], line["rate of gaussian_nats"], line["rate_nats"]) == (16.0, 18.0, 12.5)
    assert line["less rate, nats"].startswith("+5.50 ± 0.50")
    assert rates({name: of for name, of in rows.items() if name != "ctc_pool, channels 2"}) == []


def test_judges_are_over_the_seeds_that_were_judged():
    by_seed = figures([-1.0, -2.0, -3.0])
    assert judges("gaussian", by_seed) == {"row": "gaussian", "seeds": 0}
    for seed, share in ((0, 0.5), (2, 0.7)):
        by_seed[seed] |= {
            "whole/samples": share,
            "whole/real": 0.9,
            "place/masks of level_1": share,
            "place/pixels": 1.0,
        }
    line = judges("gaussian", by_seed)
    assert (line["seeds"], line["whole digits of samples"], line["error of them"]) == (2, 0.6, pytest.approx(0.1))
    assert (line["place by masks of level 1"], line["of real canvases"]) == (0.6, 0.9)
    assert "follows masks" not in line
    rows = {"gaussian": by_seed, "ctc_pool": figures([-1.0, -2.0, -3.0])}
    assert "share of whole digits" not in differences(rows)[0]
    rows["ctc_pool"][2]["whole/samples"] = 0.9
    assert differences(rows)[0]["share of whole digits"] == "+0.200 (one seed)"
