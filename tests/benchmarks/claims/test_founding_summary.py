from benchmarks.claims.founding_summary import beside, bound


def test_a_claim_is_a_row_and_a_dataset_a_column_and_what_was_not_measured_is_missing():
    pages = {
        "shapes": [{"claim": "a", "bound_bpd": "+1"}, {"claim": "b", "bound_bpd": "+2"}],
        "mnist": [{"claim": "b", "bound_bpd": "+3", "frechet random samples": "+4"}],
    }
    assert beside(pages, "claim", lambda row: row["bound_bpd"]) == [
        {"claim": "a", "shapes": "+1", "mnist": None},
        {"claim": "b", "shapes": "+2", "mnist": "+3"},
    ]
    assert beside(pages, "claim", lambda row: row.get("frechet random samples"))[1] == {
        "claim": "b",
        "shapes": None,
        "mnist": "+4",
    }


def test_bounds_have_their_errors_where_there_are_some():
    assert bound({"row": "ctc", "bound_bpd": 1.07123, "error of the bound_bpd": 0.0166}) == "1.071 ± 0.017"
    assert bound({"row": "gaussian", "bound_bpd": 2.0, "error of the bound_bpd": None}) == "2.000"
