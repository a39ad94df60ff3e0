import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ctc_jax.data import Batch, Split
from ctc_jax.distributions import IndependentPixels, PixelBernoulli
from ctc_jax.evaluation import captioned, draw_pictures, reconstruct_images, sample_images
from ctc_jax.evaluation.latent_pictures import CAPTIONS
from ctc_jax.evaluation.pictures import extremes_picture
from ctc_jax.models import Masked, Trace
from ctc_jax.reporting import grid, labeled_rows, mean_and_samples, pair_grid
from tests import toys


class Certain(toys.Silent):
    """The i-th code from the prior is the i-th image of `params`; all pixels are certain but the first, a coin."""

    image_shape = (4, 4, 1)

    def infer(self, params, key, batch, *, schedule=None):
        latents = {"z": Masked(batch.image.astype(jnp.float32))}
        return Trace(latents, {}, self.decode(params, latents), jnp.zeros(len(batch.label)))

    def generate(self, params, key, count, *, given=None, temperatures=None):
        latents = {"z": Masked(params[:count])}
        return latents, self.decode(params, latents)

    def decode(self, params, latents):
        logits = (60.0 * latents["z"].value - 30.0).at[:, 0, 0, 0].set(0.0)
        return IndependentPixels(PixelBernoulli(logits))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 2, (64, 4, 4, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def params(images):
    return jnp.asarray(images[::-1], jnp.float32)


@pytest.fixture(scope="module")
def drawn(images, params, tmp_path_factory):
    """The pictures' arrays by name, and what `draw_pictures` returned."""
    split = Split(images[:40], np.zeros(40, np.int32))
    pictures = draw_pictures(Certain(), params, split, tmp_path_factory.mktemp("run") / "samples", levels=1, seed=0)
    return {picture.path.stem: np.asarray(Image.open(picture.path)) for picture in pictures}, pictures


def coin(images, value):
    """The images with their first pixel at a value."""
    changed = np.asarray(images, np.float64).copy()
    changed[:, 0, 0, 0] = value
    return changed


def test_three_pictures_with_captions_are_written(drawn):
    arrays, pictures = drawn
    names = ["samples", "reconstructions", "mean_and_samples"]
    assert list(arrays) == names
    assert all(picture.caption for picture in pictures)
    written = sorted(path.name for path in pictures[0].path.parent.iterdir())
    assert written == sorted(f"{name}.png" for name in names)


def test_samples_picture_shows_64_images_of_the_model(drawn, params):
    picture = drawn[0]["samples"]
    black, white = (grid(coin(params, value), 8, levels=1) for value in (0, 1))
    assert picture.shape == black.shape
    assert ((picture == black) | (picture == white)).all()
    assert (picture != black).any()
    assert (picture != white).any()


def test_reconstructions_picture_shows_inputs_beside_the_likelihoods_mean(drawn, images):
    """Of all of the split: data may be sorted by class."""
    shown = images[np.arange(32) * 40 // 32]
    expected = pair_grid(shown, coin(shown, 0.5), 4, levels=1)
    np.testing.assert_array_equal(drawn[0]["reconstructions"], expected)


def test_first_column_is_the_likelihoods_mean_and_the_others_are_samples(drawn, params):
    picture = drawn[0]["mean_and_samples"]
    first = np.asarray(params[:8])
    black, white = (
        mean_and_samples(coin(first, 0.5), np.repeat(coin(first, value)[:, None], 7, axis=1), levels=1)
        for value in (0, 1)
    )
    assert picture.shape == black.shape
    assert ((picture == black) | (picture == white)).all()
    # The means are certain; of the 56 coins both sides are seen.
    differs = np.flatnonzero((black != white).any(axis=(0, 2)))
    np.testing.assert_array_equal(picture[:, : differs[0]], black[:, : differs[0]])
    assert (picture != black).any()
    assert (picture != white).any()


def test_a_split_smaller_than_the_picture_is_shown_whole(images, params, tmp_path):
    split = Split(images[:3], np.zeros(3, np.int32))
    draw_pictures(Certain(), params, split, tmp_path, levels=1, seed=0)
    expected = pair_grid(images[:3], coin(images[:3], 0.5), 4, levels=1)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "reconstructions.png")), expected)


def test_the_outermost_images_are_shown_from_the_outermost_on(images, params):
    bounds = np.random.default_rng(1).permutation(40).astype(np.float64)
    split = Split(images[:40], np.zeros(40, np.int32))
    found = extremes_picture(Certain(), params, split, bounds, levels=1, seed=0)
    highest, lowest = (images[np.argsort(sign * bounds)[:8]] for sign in (-1, 1))
    columns = [highest, coin(highest, 0.5), lowest, coin(lowest, 0.5)]
    labels = ["highest", "reconstruction", "lowest", "reconstruction"]
    np.testing.assert_array_equal(found, labeled_rows(np.stack(columns, axis=1), labels, levels=1))


def test_sample_images_draws_latents_then_pixels(params):
    drawn = np.asarray(sample_images(Certain(), params, jax.random.key(0), 64))
    np.testing.assert_array_equal(coin(drawn, 0), coin(params, 0))
    # A fair coin 64 times.
    assert abs(drawn[:, 0, 0, 0].mean() - 0.5) < 4.5 * 0.5 / 8


def test_reconstruct_images_gives_the_likelihoods_mean_in_levels(images, params):
    batch = Batch(jnp.asarray(images[:5]), jnp.zeros(5, jnp.int32))
    found = reconstruct_images(Certain(), params, jax.random.key(0), batch)
    np.testing.assert_allclose(found, coin(images[:5], 0.5), atol=1e-6)


def test_pictures_in_a_directory_have_their_captions_in_the_order_of_drawing(tmp_path):
    for name in ("another", "masks", "samples", "one_code"):
        (tmp_path / f"{name}.png").touch()
    found = captioned(tmp_path)
    assert [picture.path.stem for picture in found] == ["samples", "one_code", "masks", "another"]
    assert [picture.caption for picture in found[1:]] == [CAPTIONS["one_code"], CAPTIONS["masks"], "another"]
    assert captioned(tmp_path / "none") == []
