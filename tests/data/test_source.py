from pathlib import Path

import numpy as np
import pytest

from ctc_jax.data.source import Arrays, Source, Unavailable, first_of, source_of
from ctc_jax.errors import ConfigError, UserError


def closed(reason):
    def load(source):
        raise Unavailable(reason)

    return load


def arrays(source):
    images = np.zeros((1, 2, 2, 1), np.uint8)
    labels = np.zeros(1, np.int32)
    return Arrays(images, labels, images, labels, 1, source.path)


def test_the_first_open_way_is_taken(source):
    ways = {"one": closed("shut"), "two": arrays, "three": closed("not asked")}
    assert first_of("grey", source("somewhere"), ways, "").origin == "somewhere"


def test_every_closed_way_is_named_with_its_reason(source):
    with pytest.raises(UserError) as caught:
        first_of("grey", source(), {"one": closed("shut"), "two": closed("burnt")}, "; or dream")
    message = str(caught.value)
    assert "one (shut); two (burnt)" in message
    assert message.endswith("; or dream")


def test_places_come_from_the_config_then_the_environment_then_the_home(data_config, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CTC_JAX_DATA", "~/data")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    config = data_config(image_size=8)
    config.directory, config.tfds_directory = "", ""
    assert source_of(config) == Source("", tmp_path / "data", tmp_path / "tensorflow_datasets", 8)
    monkeypatch.delenv("CTC_JAX_DATA")
    monkeypatch.setenv("TFDS_DATA_DIR", "/prepared")
    assert source_of(config) == Source("", tmp_path / ".cache/ctc_jax/data", Path("/prepared"), 8)
    config.directory = "/here"
    assert source_of(config).directory == Path("/here")


def test_allocated_pixels_leave_no_file(source):
    place = source()
    array = place.allocate((3, 2, 2, 1))
    array[1] = 7
    assert array.sum() == 28
    assert not list(place.directory.iterdir())


def test_allocating_where_nothing_can_be_written_names_the_key(source, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(ConfigError, match=r"config\.data\.directory"):
        source().allocate((1,))
