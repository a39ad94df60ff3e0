import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.data import Dataset, Split
from ctc_jax.evaluation import features
from ctc_jax.evaluation.classifier import Classifier, ClassifierNetwork
from ctc_jax.evaluation.features import IMAGES_PER_CALL, REGISTRY


@pytest.fixture
def dataset():
    random = np.random.default_rng(0)
    split = Split(random.integers(0, 8, (12, 4, 4, 1)).astype(np.uint8), np.arange(12, dtype=np.int32) % 3)
    return Dataset("noise", split, split, split, bits=3, classes=3, binarization="none")


def test_pixels_are_the_levels_rescaled(dataset, tmp_path):
    images = dataset.test.images
    found = REGISTRY["pixels"](dataset, tmp_path)(images, 7)
    np.testing.assert_allclose(found, images.reshape(12, 16) / 7, rtol=1e-6)


def test_an_image_has_its_features_wherever_it_stands(dataset, tmp_path):
    space = REGISTRY["random"](dataset, tmp_path)
    random = np.random.default_rng(1)
    images = random.uniform(0, 7, (IMAGES_PER_CALL + 3, 4, 4, 1))  # means need not be whole levels
    many = space(images, 7)
    assert len(many) == len(images)
    np.testing.assert_allclose(space(images[-5:], 7), many[-5:], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(space(images[:5] / 7, 1), many[:5], rtol=1e-4, atol=1e-5)


def test_the_classifiers_features_are_those_its_last_layer_reads(dataset, tmp_path, monkeypatch):

    network = ClassifierNetwork(3)
    params = network.init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))
    monkeypatch.setattr(features, "cached_classifier", lambda *of: Classifier(params, 0.75))
    space = REGISTRY["classifier"](dataset, tmp_path)
    read = network.apply(params, jnp.asarray(dataset.test.images, jnp.float32) / 7)
    found = space(dataset.test.images, 7)
    last = params["params"]["Dense_0"]
    np.testing.assert_allclose(found @ last["kernel"] + last["bias"][None], read.logits, rtol=1e-4, atol=1e-5)
    assert space.figures == {"classifier_accuracy": 0.75}
