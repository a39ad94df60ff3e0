import json
import os
import subprocess
import sys

import pytest

from ctc_jax.errors import UserError
from ctc_jax.runs import claim, note_start, read_config

CONFIG = {"seed": 0, "train": {"steps": 3, "rate": 0.5}, "evaluate": {"k": 1}}


def begin(workdir, config=CONFIG, **options):
    with claim(workdir, config, **options) as claimed:
        note_start(claimed, config, ["launch.py"])
    return claimed


def test_config_and_provenance_are_written_and_read_back(tmp_path):
    workdir = begin(tmp_path / "a" / "run")
    assert read_config(workdir) == CONFIG
    noted = json.loads((workdir / "provenance.json").read_text())
    assert noted["command"] == ["launch.py"]
    assert noted["versions"]["jax"]
    assert len(noted["devices"]) == 4


def test_a_second_start_is_noted_beside_the_first(tmp_path):
    begin(tmp_path / "run")
    begin(tmp_path / "run")
    noted = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert len(noted["resumed"]) == 1


def test_differing_keys_are_listed_and_free_sections_may_differ(tmp_path):
    begin(tmp_path / "run")
    other = {"seed": 1, "train": {"steps": 4, "rate": 0.5}, "evaluate": {"k": 2}}
    with pytest.raises(UserError, match=r"evaluate\.k \(1 there, 2 now\), seed .* train\.steps \(3 there, 4 now\)"):
        begin(tmp_path / "run", other)
    begin(tmp_path / "run", {**CONFIG, "evaluate": {"k": 2}}, free=("evaluate",))


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not a run of ours"):
        begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_refused_start_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="no such model"), claim(tmp_path / "run", CONFIG):
        raise RuntimeError("no such model")
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_way_is_one_line(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        begin(tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_directory(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written: Permission denied"):
        begin(tmp_path / "run")


def test_another_process_is_kept_out(tmp_path):
    holder = (
        "import sys, ctc_jax.runs as w\n"
        "with w.claim(sys.argv[1], {}) as d: w.note_start(d, {}, []); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, tmp_path / "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"in use by process {process.pid}"):
        begin(tmp_path / "run", {})
    process.communicate("")
    begin(tmp_path / "run", {})


def test_a_damaged_config_is_told(tmp_path):
    begin(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text('{"seed":')
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        begin(tmp_path / "run")
