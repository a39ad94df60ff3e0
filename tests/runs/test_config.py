import json

import pytest

from ctc_jax.errors import UserError
from ctc_jax.runs.config import check_same, read_config


def run_of(folder, config):
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_each_differing_key_is_listed_and_one_that_is_missing_on_a_side_is_told(tmp_path):
    run_of(tmp_path, {"seed": 0, "train": {"steps": 3, "rate": 0.5}, "evaluate": {"k": 1}})
    words = r"seed \(0 there, 1 now\), train\.rate \(0\.5 there, absent now\), train\.x \(absent there, 2 now\)"
    with pytest.raises(UserError, match=words):
        check_same(tmp_path, {"seed": 1, "train": {"steps": 3, "x": 2}, "evaluate": {"k": 2}}, free=("evaluate",))


def test_a_key_and_a_section_may_be_free_without_those_of_like_names(tmp_path):
    run_of(tmp_path, {"data": {"path": "a", "pathology": "a"}, "evaluate": {"k": 1}})
    free = ("data.path", "evaluate")
    check_same(tmp_path, {"data": {"path": "b", "pathology": "a"}, "evaluate": {"k": 2}}, free)
    with pytest.raises(UserError, match=r"config: data\.pathology"):
        check_same(tmp_path, {"data": {"path": "b", "pathology": "b"}, "evaluate": {"k": 2}}, free)


def test_a_key_that_the_run_lacks_has_its_default_and_one_that_is_unknown_is_told(tmp_path):
    run_of(tmp_path, {"seed": 0})
    check_same(tmp_path, {"seed": 0, "train": {"steps": 3}}, defaults={"seed": 5, "train.steps": 3})
    with pytest.raises(UserError, match=r"train\.steps \(3 there, 4 now\)"):
        check_same(tmp_path, {"seed": 0, "train": {"steps": 4}}, defaults={"train.steps": 3})
    run_of(tmp_path, {"seed": 0, "old": 1})
    with pytest.raises(UserError, match=r"old \(1 there, absent now\)"):
        check_same(tmp_path, {"seed": 0}, defaults={"seed": 0})


def test_a_directory_without_a_run_and_a_config_that_is_not_json(tmp_path):
    with pytest.raises(UserError, match=r"no run in .*: it has no config\.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"seed":')
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        read_config(tmp_path)
