import sys

from benchmarks import machine

sys.modules.setdefault("machine", machine)  # scripts find it beside themselves
sys.path.insert(0, str(machine.ROOT / "benchmarks"))

from benchmarks.founding_claim_summary import across, bounds  # noqa: E402


def test_a_claim_is_a_row_and_a_dataset_a_column_and_what_was_not_measured_a_dash():
    pages = {
        "shapes": [{"claim": "a", "seeds": 3, "bound_bpd": "+1"}, {"claim": "b", "seeds": 3, "bound_bpd": "+2"}],
        "mnist": [{"claim": "b", "seeds": 1, "bound_bpd": "+3", "frechet random samples": "+4"}],
    }
    made = across(pages)
    assert made["bound, bpd"] == [
        {"claim": "a", "shapes": "+1", "mnist": "-"},
        {"claim": "b", "shapes": "+2", "mnist": "+3"},
    ]
    assert made["frechet random samples"][1] == {"claim": "b", "shapes": "-", "mnist": "+4"}


def test_bounds_have_their_errors_where_there_are_some():
    shapes = {"row": "ctc", "bound_bpd": 1.07123, "error of the bound_bpd": 0.0166}
    mnist = {"row": "gaussian", "bound_bpd": 2.0, "error of the bound_bpd": None}
    assert bounds({"shapes": [shapes], "mnist": [mnist]}) == [
        {"row": "ctc", "shapes": "1.071 ± 0.017", "mnist": "-"},
        {"row": "gaussian", "shapes": "-", "mnist": "2.000"},
    ]
