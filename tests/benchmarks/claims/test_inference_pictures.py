import jax.numpy as jnp
import numpy as np
from PIL import Image
from scipy import stats

from benchmarks.claims import inference_pictures
from benchmarks.claims.inference_pictures import IMAGE, TwoModes, posterior
from ctc_jax.data import Batch
from ctc_jax.models import ChainModel


def test_the_posterior_has_two_modes_at_the_roots_of_the_first_pixel():
    across, up = np.linspace(-4, 4, 161), np.linspace(-4, 4, 81)
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    found = posterior(ChainModel(TwoModes()), Batch(jnp.asarray(IMAGE), jnp.zeros(1, jnp.int32)), grid)
    first, second = (IMAGE[0, 0, pixel, 0] for pixel in (0, 1))
    # z_1 integrates out: x_1 - z_0^2 / 2 is N(0, 1 + noise^2).
    law = stats.norm.pdf(across) * stats.norm(0, 0.6).pdf(first - (across + 0.15) ** 2)
    law *= stats.norm(0, np.sqrt(1.36)).pdf(second - across**2 / 2)
    np.testing.assert_allclose(found.sum(axis=0), law / law.sum(), atol=1e-4)
    peaks = across[1:-1][(np.diff(np.sign(np.diff(found.sum(axis=0)))) < 0)]
    np.testing.assert_allclose(peaks, [-1.5, 1.2], atol=0.15)


def test_the_picture_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(inference_pictures, "MOVES", 4)
    monkeypatch.setattr(inference_pictures, "METHODS", dict(list(inference_pictures.METHODS.items())[:2]))
    inference_pictures.modes(tmp_path / "modes.png")
    with Image.open(tmp_path / "modes.png") as picture:
        assert picture.width > 700
