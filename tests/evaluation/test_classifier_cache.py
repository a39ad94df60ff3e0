import dataclasses

import jax
import numpy as np
import pytest

from ctc_jax.data import Dataset, Split
from ctc_jax.errors import ConfigError
from ctc_jax.evaluation import classifier_cache
from ctc_jax.evaluation.classifier_cache import cached_classifier, file_name


def split(count, seed):
    random = np.random.default_rng(seed)
    return Split(random.integers(0, 4, (count, 4, 4, 1)).astype(np.uint8), np.arange(count, dtype=np.int32) % 3)


@pytest.fixture
def dataset():
    return Dataset("noise", split(12, 0), split(6, 1), split(7, 2), bits=2, classes=3, binarization="none")


@pytest.fixture
def trainings(monkeypatch):
    """How often a classifier is trained."""
    counted, train = [], classifier_cache.train_classifier
    monkeypatch.setattr(
        classifier_cache, "train_classifier", lambda *of, **given: (counted.append(1), train(*of, **given))[1]
    )
    return counted


def assert_same(one, other):
    assert one.accuracy == other.accuracy
    jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


@pytest.mark.slow
def test_it_is_trained_once_and_a_damaged_file_is_trained_again(dataset, trainings, tmp_path):
    first = cached_classifier(dataset, tmp_path, steps=1)
    assert_same(cached_classifier(dataset, tmp_path, steps=1), first)
    assert len(trainings) == 1
    (path,) = (tmp_path / "classifiers").iterdir()
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 1
    opened = whole.replace(b"{'descr'", b"((((((((", 1)  # a header that does not parse
    for content in (whole[:1000], b"", bytes(broken), opened):
        path.write_bytes(content)
        assert_same(cached_classifier(dataset, tmp_path, steps=1), first)
    assert len(trainings) == 5
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing temporary is left


def test_a_whole_file_of_another_process_is_kept(dataset, tmp_path, monkeypatch):
    theirs = classifier_cache.train_classifier(dataset, steps=1)._replace(accuracy=0.125)

    def meanwhile(dataset, *, steps):
        path = tmp_path / "classifiers" / file_name(dataset, steps)
        classifier_cache._write(path, theirs, dataset)
        return mine

    mine = classifier_cache.train_classifier(dataset, steps=1)
    monkeypatch.setattr(classifier_cache, "train_classifier", meanwhile)
    assert_same(cached_classifier(dataset, tmp_path, steps=1), theirs)


def test_other_data_has_another_file(dataset):
    images, labels = dataset.train.images.copy(), dataset.train.labels.copy()
    images[5, 0, 0, 0] ^= 1
    labels[3] ^= 1
    others = [
        dataclasses.replace(dataset, bits=3),
        dataclasses.replace(dataset, binarization="dynamic"),
        dataclasses.replace(dataset, name="other"),
        dataclasses.replace(dataset, classes=4),
        dataclasses.replace(dataset, train=Split(images, dataset.train.labels)),
        dataclasses.replace(dataset, train=Split(dataset.train.images, labels)),
        dataclasses.replace(dataset, train=Split(images[:11], labels[:11])),
    ]
    names = {file_name(dataset), *map(file_name, others)}
    assert len(names) == 1 + len(others)
    assert file_name(dataset) == file_name(dataclasses.replace(dataset))
    assert all(name.endswith(".npz") for name in names)


def test_a_place_that_is_no_folder_is_told_in_one_line(dataset, tmp_path):
    (tmp_path / "classifiers").write_text("in the way")
    with pytest.raises(ConfigError, match=r"config\.data\.directory"):
        cached_classifier(dataset, tmp_path, steps=1)
