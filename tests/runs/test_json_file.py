import json
import os

import pytest

from ctc_jax.errors import UserError
from ctc_jax.runs.json_file import read_json, write_json


def test_what_is_written_is_read_back(tmp_path):
    content = {"ε": [1, 2.5, None, "x"], "nested": {"a": True}}
    write_json(tmp_path / "file.json", content)
    assert read_json(tmp_path / "file.json") == content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1', "delimiter"),
        (b'{"a": 1} x', "Extra data"),
        (b"\xff\xfe{", "utf-8"),
        (b"[" * 100_000, "recursion"),
        (b"[1]", "a list, not an object"),
        (b'"text"', "a text, not an object"),
        (b"null", "null, not an object"),
        (b"true", "a truth value, not an object"),
        (b"3", "a number, not an object"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_what_is_no_object_is_told_in_one_line(tmp_path, content, words):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as told:
        read_json(path)
    assert str(told.value).startswith(f"{path} cannot be read: ")
    assert "\n" not in str(told.value)


def test_what_is_no_file_of_a_size_to_be_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="no regular file"):
        read_json(tmp_path / "pipe")
    with pytest.raises(UserError, match="no regular file"):
        read_json(tmp_path)
    with pytest.raises(UserError, match="No such file"):
        read_json(tmp_path / "none")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(UserError, match="larger than"):
        read_json(tmp_path / "large")


def test_every_truncation_of_a_file_is_told(tmp_path):
    path, text = tmp_path / "file.json", json.dumps({"a": [1, {"b": "c"}]})
    for length in range(len(text)):
        path.write_text(text[:length])
        with pytest.raises(UserError, match="cannot be read"):
            read_json(path)
