from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
from PIL import Image

from benchmarks.claims import one_code
from ctc_jax.data import Split
from ctc_jax.distributions import DiscretizedGaussian, IndependentPixels


def test_a_row_of_data_has_the_images_of_its_class_and_their_mean():
    images, labels = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), np.array([0, 1, 0, 1], np.int32)
    run = SimpleNamespace(dataset=SimpleNamespace(test=Split(images, labels)))
    mean, shown = one_code.data_row(run, 1)
    np.testing.assert_array_equal(shown.ravel(), [1, 3])
    np.testing.assert_array_equal(mean, [[2.0]])


def test_a_row_of_a_model_is_that_of_its_likelihood_given_the_class():
    def infer(params, key, batch):
        loc = jnp.broadcast_to(100.0 * batch.label[:, None, None, None], batch.image.shape)
        return SimpleNamespace(pixels=IndependentPixels(DiscretizedGaussian(loc, jnp.zeros_like(loc), bits=8)))

    config, space = SimpleNamespace(seed=0), SimpleNamespace(shape=(4, 4, 1))
    run = SimpleNamespace(config=config, space=space, params={}, model=SimpleNamespace(infer=infer))
    mean, samples = one_code.model_row(run, 2)
    np.testing.assert_allclose(mean, np.full((4, 4), 200.0), atol=1e-3)
    assert samples.shape == (one_code.SAMPLES, 4, 4)
    assert 0.5 < samples.std() < 1.5


def test_the_picture_has_a_line_for_each_row(tmp_path):
    rows = {name: (np.zeros((4, 4)), np.full((3, 4, 4), 255)) for name in ("first", "second")}
    one_code.draw(rows, tmp_path / "drawn.png", 255)
    with Image.open(tmp_path / "drawn.png") as drawn:
        shades = np.asarray(drawn.convert("L"))
    black = (shades < 5).sum(axis=1) > 0.05 * shades.shape[1]
    assert np.flatnonzero(np.diff(black.astype(int)) == 1).size >= 2
