import pytest

from ctc_jax.whole_file import replaced, temporary_of


def test_a_reader_sees_the_old_content_until_the_new_is_whole(tmp_path):
    path = tmp_path / "numbers"
    path.write_text("old")
    with replaced(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary_of(temporary.name) == "numbers"
    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["numbers"]


def test_a_writer_that_fails_leaves_the_old_content_alone(tmp_path):
    path = tmp_path / "numbers"
    path.write_text("old")

    def half_of_it():
        with replaced(path) as temporary:
            temporary.write_text("ne")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        half_of_it()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["numbers"]


def test_other_names_are_of_no_file():
    assert [temporary_of(name) for name in ("config.json", ".lock", ".config.json.x", ".config.json.12")] == [
        "",
        "",
        "",
        "config.json",
    ]
