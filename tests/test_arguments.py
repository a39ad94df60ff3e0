import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from ctc_jax import arguments, training
from ctc_jax.errors import UserError
from ctc_jax.models import ImageSpace

SPACE = ImageSpace((4, 4, 1), 2, 3)
IMAGES = np.zeros((2, 4, 4, 1), np.uint8)


@pytest.fixture(scope="module")
def model():
    changes = {"model.name": "mlp_vae", "model.latents": 2, "model.width": 4, "model.blocks": 1, "model.features": 2}
    return training.build_model(base.experiment({**changes, "likelihood.name": "categorical"}), SPACE)


@pytest.fixture(scope="module")
def params(model):
    return model.init(jax.random.key(0))


@pytest.mark.parametrize("value", [0, -1, 2.0, 1.5, True, None, "3", float("nan"), [3], np.array([1, 2]), 1j])
def test_what_is_no_whole_number_of_one_or_more(value):
    with pytest.raises(UserError, match=r"n is .*; allowed: a whole number, 1 or more"):
        arguments.count("n", value)


@pytest.mark.parametrize("value", [1, np.int64(1), np.uint8(1), np.array(1), jnp.array(1)])
def test_whole_numbers_of_every_kind(value):
    assert arguments.count("n", value) == 1


@pytest.mark.parametrize(
    "key", [0, None, "0", np.zeros(2, np.uint32), jnp.zeros(2, jnp.uint32), jax.random.split(jax.random.key(0), 2)]
)
def test_what_is_no_single_random_key(key):
    with pytest.raises(UserError, match="allowed: one random key"):
        arguments.random_key(key)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (IMAGES[0], "shape"),
        (IMAGES[:, :3], "shape"),
        (IMAGES.astype(np.float32), "float32"),
        (IMAGES.astype(bool), "bool"),
        (IMAGES.astype(object), "object"),
        (IMAGES + 4, "levels 4 to 4; this run takes 0 to 3"),
        (IMAGES.astype(np.int64) - 1, "levels -1 to -1"),
        (IMAGES.astype(np.uint64) + 2**63, "this run takes 0 to 3"),
        (IMAGES[:0], "there are no images"),
        ([], "shape"),
        (None, "object"),
        ("images", "shape"),
        ([[1], [1, 2]], "are no array"),
    ],
)
def test_images_that_do_not_fit(images, words):
    with pytest.raises(UserError, match=words):
        arguments.batch(SPACE, images)


def test_images_that_fit_keep_their_levels_whatever_integers_they_are():
    for kind in (np.uint8, np.int64, np.uint16):
        batch = arguments.batch(SPACE, IMAGES.astype(kind) + kind(3), [2, 0])
        assert batch.image.dtype == jnp.uint8
        assert (int(batch.image.min()), batch.label.tolist()) == (3, [2, 0])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((1, 2)), "a dictionary of z"),
        ({}, "latents lack z"),
        ({"zz": np.zeros((1, 2))}, "no latent 'zz'; the model has z"),
        ({"z": np.zeros((1, 2)), "top": np.zeros((1, 2))}, "no latent 'top'"),
        ({"z": np.zeros((1, 3))}, r"shape \(1, 3\); allowed: numbers of \(batch, 2\)"),
        ({"z": np.zeros(2)}, r"allowed: numbers of \(batch, 2\)"),
        ({"z": np.zeros((0, 2))}, "has no rows"),
        ({"z": np.array([[0.0, np.nan]])}, "not finite"),
        ({"z": np.array([[0.0, -np.inf]])}, "not finite"),
        ({"z": np.array([["a", "b"]])}, "allowed: numbers"),
        ({"z": None}, "latent z"),
        ({"z": [[1], [1, 2]]}, "are no array"),
    ],
)
def test_latents_that_do_not_fit(model, params, given, words):
    with pytest.raises(UserError, match=words):
        arguments.latents(model, params, given)


def test_latents_that_fit_come_in_the_models_type(model, params):
    checked = arguments.latents(model, params, {"z": [[1, 2], [3, 4]]})
    assert checked["z"].mask is None
    assert (checked["z"].value.dtype, checked["z"].value.tolist()) == (jnp.float32, [[1, 2], [3, 4]])
