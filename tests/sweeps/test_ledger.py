import dataclasses

import pytest

from ctc_jax.sweeps.ledger import Ledger, Submission


def test_a_submission_is_read_as_it_was_written_until_it_is_erased(tmp_path):
    ledger, noted = Ledger(tmp_path), Submission("slurm", cores=(1, 3))
    ledger.write("seed=1", noted)
    known = dataclasses.replace(noted, job_id="7")
    ledger.write("seed=1", known)
    ledger.exit_note("seed=1", known).write_text("75\n")
    assert ledger.read("seed=1") == known
    assert ledger.exit_code("seed=1", known) == 75
    ledger.erase("seed=1", known)
    assert (ledger.read("seed=1"), ledger.exit_code("seed=1", known)) == (None, None)
    assert list(tmp_path.iterdir()) == []


def test_submissions_differ_and_an_exit_code_belongs_to_one(tmp_path):
    ledger, first, second = Ledger(tmp_path), Submission("local"), Submission("local")
    ledger.exit_note("a", first).write_text("0\n")
    assert ledger.exit_code("a", first) == 0
    assert ledger.exit_code("a", second) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"executor": "local", "cores": [], "age": 3}', "\x00"])
def test_a_damaged_note_is_none(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert Ledger(tmp_path).read("a") is None
