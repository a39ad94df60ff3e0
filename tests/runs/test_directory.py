import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctc_jax.errors import UserError
from ctc_jax.runs import begin, claim, expand, read_config

CONFIG = {"seed": 0, "train": {"steps": 3, "rate": 0.5}, "evaluate": {"k": 1}}


IMAGES = {"shape": [2, 2, 1], "bits": 1, "classes": 0, "mean": [0.25, 0.5, 0.75, 1.0]}


def start(workdir, config=CONFIG, **options):
    with claim(workdir, config, **options) as claimed:
        begin(claimed, config, IMAGES, ["launch.py"])
    return claimed


def test_config_and_provenance_are_written_and_read_back(tmp_path):
    workdir = start(tmp_path / "a" / "run")
    assert read_config(workdir) == CONFIG
    assert json.loads((workdir / "images.json").read_text()) == IMAGES
    noted = json.loads((workdir / "provenance.json").read_text())
    assert noted["command"] == ["launch.py"]
    assert noted["versions"]["jax"]
    assert len(noted["devices"]) == 4


def test_a_second_start_is_noted_beside_the_first(tmp_path):
    start(tmp_path / "run")
    start(tmp_path / "run")
    noted = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert len(noted["resumed"]) == 1


def test_differing_keys_are_listed_and_free_sections_may_differ(tmp_path):
    start(tmp_path / "run")
    other = {"seed": 1, "train": {"steps": 4, "rate": 0.5}, "evaluate": {"k": 2}}
    with pytest.raises(UserError, match=r"evaluate\.k \(1 there, 2 now\), seed .* train\.steps \(3 there, 4 now\)"):
        start(tmp_path / "run", other)
    start(tmp_path / "run", {**CONFIG, "evaluate": {"k": 2}}, free=("evaluate",))


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not a run of ours"):
        start(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_refused_start_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="no such model"), claim(tmp_path / "runs" / "run", CONFIG):
        raise RuntimeError("no such model")
    assert not (tmp_path / "runs").exists()


def test_a_file_in_the_way_is_one_line(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        start(tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_directory(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written: Permission denied"):
        start(tmp_path / "run")


def test_another_process_is_kept_out(tmp_path):
    holder = (
        "import sys, ctc_jax.runs as w\n"
        "with w.claim(sys.argv[1], {}) as d: w.begin(d, {}, {}, []); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, tmp_path / "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"in use by process {process.pid}"):
        start(tmp_path / "run", {})
    process.communicate("")
    start(tmp_path / "run", {})


def test_a_damaged_config_is_told(tmp_path):
    start(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text('{"seed":')
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        start(tmp_path / "run")


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None


def states_of(act, folder):
    """Every content of `folder` while `act` runs, looked at after each line: what a kill would leave."""
    states = []

    def look(frame, event, argument):
        if (now := content(folder)) not in states:
            states.append(now)
        return look

    sys.settrace(lambda frame, *_: look if "ctc_jax" in frame.f_code.co_filename else None)
    try:
        act()
    finally:
        sys.settrace(None)
    return states


def cut_short(states):
    """The same states with each temporary file empty, and half written."""
    for state in states:
        for name in [name for name in state or {} if name.startswith(".") and name != ".lock"]:
            for length in (0, len(state[name]) // 2):
                yield {**state, name: state[name][:length]}


def test_a_start_killed_at_any_moment_can_be_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("ctc_jax.runs.directory.provenance", lambda command: {"command": command})
    states = states_of(lambda: start(tmp_path / "run"), tmp_path / "run")
    states += [*cut_short(states)]
    kinds = {tuple(sorted(state or ())) for state in states}
    own = f".config.json.{os.getpid()}"
    assert {(), (".lock",), (".lock", "provenance.json"), (".lock", "images.json", "provenance.json")} <= kinds
    assert (own, ".lock", "images.json", "provenance.json") in kinds
    for number, state in enumerate(states):
        folder = tmp_path / str(number)
        for name, data in (state or {}).items():
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
        start(folder)
        assert set(content(folder)) == {".lock", "provenance.json", "images.json", "config.json"}, state
        assert read_config(folder) == CONFIG
        assert json.loads((folder / "images.json").read_text()) == IMAGES


def test_what_a_killed_writer_left_in_a_run_is_removed_and_hidden_files_of_others_are_not(tmp_path):
    start(tmp_path)
    for name in (".metrics.jsonl.7", ".config.json.12", ".notes.12"):
        (tmp_path / name).write_text("half")
    start(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == {".lock", ".notes.12"}


def test_files_with_the_names_of_a_start_that_are_not_ours_are_left_alone(tmp_path):
    (tmp_path / "provenance.json").write_text("of a painting")
    with pytest.raises(UserError, match="not a run of ours"):
        start(tmp_path)
    assert (tmp_path / "provenance.json").read_text() == "of a painting"


@pytest.mark.parametrize("name", ["provenance.json", "images.json", "config.json"])
def test_a_disk_that_is_full_at_any_file_leaves_nothing_and_a_later_start_goes_well(tmp_path, monkeypatch, name):
    write, full = Path.write_text, OSError(errno.ENOSPC, "No space left on device")

    def refused(path, text, **options):
        write(path, text[: len(text) // 2], **options)
        if name in path.name:
            raise full

    monkeypatch.setattr(Path, "write_text", refused)
    with pytest.raises(OSError, match="No space left"):
        start(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(Path, "write_text", write)
    start(tmp_path / "run")


def test_a_disk_that_is_full_at_the_lock_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ctc_jax.runs.directory.platform.node", full)  # within the signing of the lock
    with pytest.raises(UserError, match="cannot be written: No space left"):
        start(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_tilde_is_the_home_and_one_of_nobody_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand("~/runs/a") == tmp_path / "runs" / "a"
    assert expand("runs/~a") == Path.cwd() / "runs" / "~a"
    with pytest.raises(UserError, match="home of a user that does not exist"):
        expand("~nobody-of-this-name/a")
