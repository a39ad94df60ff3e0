from pathlib import Path

import pytest

from ctc_jax.data.places import Places
from ctc_jax.options import OptionError


def test_places_come_from_the_config_then_the_environment_then_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CTC_JAX_DATA", "~/data")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert Places.named() == Places(tmp_path / "data", tmp_path / "tensorflow_datasets")
    monkeypatch.delenv("CTC_JAX_DATA")
    monkeypatch.setenv("TFDS_DATA_DIR", "/prepared")
    assert Places.named() == Places(tmp_path / ".cache/ctc_jax/data", Path("/prepared"))
    assert Places.named("~/here", "/there") == Places(tmp_path / "here", Path("/there"))


def test_a_home_that_does_not_exist_is_left_as_it_stands():
    assert Places.named("~nobody-of-this-name/data").directory == Path("~nobody-of-this-name/data")


def test_allocated_pixels_leave_no_file(places):
    array = places.allocate((3, 2, 2, 1))
    array[1] = 7
    assert array.sum() == 28
    assert not list(places.directory.iterdir())


def test_allocating_where_nothing_can_be_written_names_the_key(places, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(OptionError, match="directory"):
        places.allocate((1,))
