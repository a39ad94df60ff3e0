import json
import sys

import pytest

from benchmarks.harness import results


def test_table_has_every_column_in_order_of_appearance_with_its_unit():
    table = results.markdown([{"run": "a", "step_ms": 2.5}, {"run": "b", "bound_bpd": 3.14159}])
    assert table.splitlines() == [
        "| run | step, ms | bound, bpd |",
        "| --- | ---: | ---: |",
        "| a | 2.500 | - |",
        "| b | - | 3.142 |",
    ]


def test_both_files_hold_the_command_the_machine_and_the_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/elsewhere/benchmarks/speed/scaling.py", "--rounds", "3"])
    output = tmp_path / "new" / "scaling.json"
    results.write(output, "Title", {"": [{"step_ms": 2.5}]}, ["A note."])
    content, page = json.loads(output.read_text()), output.with_suffix(".md").read_text()
    assert content["tables"][""] == [{"step_ms": 2.5}]
    assert content["command"] == "python -m benchmarks.speed.scaling --rounds 3"
    assert page.startswith("# Title\n")
    assert all(part in page for part in (content["command"], content["machine"]["processor"], "2.500", "A note."))
    assert capsys.readouterr().out.strip() == page.strip()


@pytest.mark.parametrize("absent", [None, float("nan")])
def test_an_absent_figure_is_a_dash(absent):
    assert results.markdown([{"step_ms": absent}]).splitlines()[-1] == "| - |"
