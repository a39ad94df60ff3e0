import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.data import Dataset, Split
from ctc_jax.evaluation import classifier
from ctc_jax.evaluation.classifier import ClassifierNetwork, train_classifier


def labeled(count, seed, levels):
    """Two classes, that differ in which half is bright, under noise; sorted by class."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(2, dtype=np.int32), count // 2)
    images = random.integers(0, levels // 2 + 1, (count, 6, 5, 1))
    for label, columns in ((0, slice(0, 2)), (1, slice(3, 5))):
        images[labels == label, :, columns] += levels // 2
    return Split(images.astype(np.uint8), labels)


def scaled(dataset):
    return jnp.asarray(dataset.test.images, jnp.float32) / 15


@pytest.fixture(scope="module")
def dataset():
    splits = {name: labeled(count, seed, 15) for seed, (name, count) in enumerate({"train": 90, "test": 40}.items())}
    return Dataset(name="halves", validation=splits["test"], bits=4, classes=2, binarization="none", **splits)


@pytest.fixture(scope="module")
def trained(dataset):
    return train_classifier(dataset, steps=25)


def test_it_learns_the_labels_of_test_images_and_says_how_well(dataset, trained):
    logits = ClassifierNetwork(2).apply(trained.params, scaled(dataset)).logits
    right = np.mean(np.argmax(logits, axis=1) == dataset.test.labels)
    assert trained.accuracy == pytest.approx(right)
    assert right > 0.9


def test_wrong_labels_are_counted_as_wrong(dataset, trained):
    exchanged = dataclasses.replace(dataset.test, labels=1 - dataset.test.labels)
    of_wrong = classifier._accuracy(
        ClassifierNetwork(2), trained.params, dataclasses.replace(dataset, test=exchanged), 15
    )
    assert of_wrong == pytest.approx(1.0 - trained.accuracy)


def test_logits_are_a_linear_layer_of_the_features(dataset, trained):
    read = ClassifierNetwork(2).apply(trained.params, scaled(dataset))
    assert read.features.shape == (40, classifier.WIDTHS[-1])
    last = trained.params["params"]["Dense_0"]
    np.testing.assert_allclose(read.logits, read.features @ last["kernel"] + last["bias"][None], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_training_depends_on_nothing_random(dataset, trained):
    again = train_classifier(dataset, steps=25)
    assert again.accuracy == trained.accuracy
    np.testing.assert_allclose(
        again.params["params"]["Dense_0"]["kernel"], trained.params["params"]["Dense_0"]["kernel"], rtol=1e-3, atol=1e-4
    )
