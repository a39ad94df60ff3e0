import numpy as np
import pytest

from ctc_jax import data
from ctc_jax.data.source import Arrays, Unavailable, first_of, reason
from ctc_jax.errors import UserError
from tests.documented import documented


def closed(reason):
    def load(places):
        raise Unavailable(reason)

    return load


def arrays(places):
    images = np.zeros((1, 2, 2, 1), np.uint8)
    labels = np.zeros(1, np.int32)
    return Arrays(images, labels, images, labels, 1, str(places.directory))


def test_the_first_open_way_is_taken(places):
    ways = {"one": closed("shut"), "two": arrays, "three": closed("not asked")}
    assert first_of("grey", places, ways, "").origin == str(places.directory)


def test_every_closed_way_is_named_with_its_reason(places):
    with pytest.raises(UserError) as caught:
        first_of("grey", places, {"one": closed("shut"), "two": closed("burnt")}, "; or dream")
    message = str(caught.value)
    assert "one (shut); two (burnt)" in message
    assert message.endswith("; or dream")


def test_a_reason_is_one_line_whatever_the_error():
    assert reason(ValueError("\n one \ntwo")) == "one"
    assert reason(MemoryError()) == "MemoryError"
    assert len(reason(ValueError("x" * 1000))) == 200


def test_the_documented_dataset_is_one_of_the_registry(data_config, monkeypatch):
    monkeypatch.setitem(data.REGISTRY, "stripes", documented("class Stripes(").Stripes)
    stripes = data.build(data_config("stripes", side=8, images=50))
    assert (stripes.bits, stripes.classes, stripes.train.images.shape[1:]) == (1, 2, (8, 8, 1))
    for split in (stripes.train, stripes.validation, stripes.test):
        rows = (split.images == split.images[:, :, :1]).all(axis=(1, 2, 3))  # every pixel as the first of its row
        np.testing.assert_array_equal(rows | (split.labels == 0), True)
        columns = (split.images == split.images[:, :1]).all(axis=(1, 2, 3))
        np.testing.assert_array_equal(columns | (split.labels == 1), True)
