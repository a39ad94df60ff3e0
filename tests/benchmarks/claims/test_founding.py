import importlib
from pathlib import Path

import pytest

from benchmarks.claims.founding import CLAIMS, CONFIG, SWEEP, differences, plus_minus, row_name, tables
from benchmarks.harness import machine
from ctc_jax.sweeps.expand import load_sweep

CLAIM_C = ("configs/posterior_claim.py", "configs/sweeps/posteriors.py")
CLAIM_F = "configs/sweeps/one_mode.py"


def rows_of(config, sweep):
    base = importlib.import_module(f"configs.{Path(config).stem}").get_config()
    runs = load_sweep(str(machine.ROOT / sweep), base).trials
    return [(run.overrides["seed"], row_name({k: v for k, v in run.overrides.items() if k != "seed"})) for run in runs]


def test_rows_have_names_of_their_own_and_three_seeds_and_claims_are_about_them():
    found = rows_of(CONFIG, SWEEP)
    assert len(set(found)) == len(found)
    names = {name for _, name in found}
    assert {seed for seed, _ in found} == {0, 1, 2}
    assert len(found) == 3 * len(names)
    assert {name for pair in CLAIMS.values() for name in pair} <= names | {name for _, name in rows_of(CONFIG, CLAIM_F)}
    assert {"gaussian", "logistic", "categorical", "ctc"} <= names


def test_rows_of_claim_f_have_names_of_their_own_and_are_what_its_claims_are_about():
    found = rows_of(CONFIG, CLAIM_F)
    assert len(set(found)) == len(found) == 3 * 12
    names = {name for _, name in found}
    assert {"gaussian of rank 16", "logistic at optimal scale", "ctc of patch:4"} < names
    assert {name for pair in CLAIMS.values() for name in pair if "rank" in name or "scale" in name} <= names


def test_rows_of_claim_c_are_rows_of_the_founding_claim_by_the_same_names():
    assert set(rows_of(*CLAIM_C)) < set(rows_of(CONFIG, SWEEP))


def figures(bounds):
    return {seed: {"bound_bpd": bound, "importance_bound_bpd": bound - 0.1} for seed, bound in enumerate(bounds)}


def test_claims_are_judged_by_pairs_of_one_seed():
    """Seeds differ by more than rows do, whose differences, 0.2, 0.3 and 0.4, are sure: an error of 0.1 / sqrt 3."""
    line = differences({"ctc": figures([1.0, 3.0, 5.0]), "gaussian": figures([1.2, 3.3, 5.4])})[0]
    assert line == {"claim": next(iter(CLAIMS)), "seeds": 3, "bound_bpd": "+0.300 ± 0.058, better"}


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        ([0.8, 2.7, 4.6], "-0.300 ± 0.058, worse"),
        ([0.9, 3.3, 5.0], "+0.0667 ± 0.12, undecided"),
        ([1.1, 3.2, 5.3], "+0.200 ± 0.058, undecided"),  # 3.5 errors, of three seeds
        ([1.5], "+0.500 (one seed)"),
    ],
)
def test_a_verdict_is_also_no_or_none(other, verdict):
    line = differences({"ctc": figures([1.0, 3.0, 5.0]), "gaussian": figures(other)})[0]
    assert line["bound_bpd"] == verdict


def test_a_claim_about_a_row_that_was_not_run_is_left_out():
    assert differences({"ctc": figures([1.0]), "gaussian": {}}) == []


def test_tables_have_means_and_the_error_of_bounds():
    line = tables({"ctc": figures([1.0, 3.0, 5.0])})["bounds"][0]
    assert line["seeds"] == 3
    assert line["bound_bpd"] == 3.0
    assert line["error of the bound_bpd"] == pytest.approx(2.0 / 3**0.5)
    assert line["importance bound_bpd"] == pytest.approx(2.9)


@pytest.mark.parametrize(
    ("mean", "error", "shown"),
    [
        (1.1401, 0.00999, "1.140 ± 0.010"),
        (0.0, 0.1, "0 ± 0.10"),
        (-378.4, 1512.0, "-378.4 ± 1,500"),
        (9.9996, None, "10.00"),
    ],
)
def test_figures_have_significant_digits_and_no_exponents(mean, error, shown):
    assert plus_minus(mean, error, 4) == shown
