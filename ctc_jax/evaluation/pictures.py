"""The pictures of a trained model, drawn to files. Tests: tests/evaluation/test_pictures.py."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key

from ctc_jax.data import Batch, Split
from ctc_jax.evaluation import code_pictures, latent_pictures
from ctc_jax.evaluation.even_rows import even_batch
from ctc_jax.evaluation.multimodality import draw_likely
from ctc_jax.models import Model, Params
from ctc_jax.reporting import Picture, grid, labeled_rows, mean_and_samples, pair_grid, save_png

CAPTIONS = {
    "samples": "Samples: a latent of the prior, then pixels from the likelihood",
    "reconstructions": "Test images beside the likelihood's mean at a code of the recognition model",
    "mean_and_samples": "Each row one latent of the prior: the likelihood's mean, then samples of the likelihood",
    "extremes": "Of the test images those with the highest bound and those with the lowest, each beside the "
    "likelihood's mean at a code of the recognition model",
    **code_pictures.CAPTIONS,
    **latent_pictures.CAPTIONS,
    "refinement": "Each row a test image and the likelihood's mean at the recognition model's center and after so "
    "many moves of the method that inference.name chooses",
    "copying": "The samples nearest to a training image, in the first of the feature spaces, each beside that image",
    "calibration": "Ranks of the model's own latents among draws of q given their images: even, and so within the band "
    "in 99 of 100 cases, where q is the posterior; high at both ends q is too narrow, in the middle too wide",
}
SAMPLES = 64
PAIRS = 32
ROWS, COLUMNS = 8, 7


def draw_pictures(
    model: Model, params: Params, split: Split, directory: Path, *, levels: int, seed: int
) -> list[Picture]:
    """Writes prior samples, reconstructions beside inputs, and likelihood means beside likelihood samples.

    Args:
      model: any model.
      params: its parameters.
      split: where the inputs come from.
      directory: gets `samples.png`, `reconstructions.png` and `mean_and_samples.png`, and those of
        `draw_latent_pictures`.
      levels: the highest pixel level.
      seed: of all samples.
    """
    key = jax.random.key(seed)
    samples = np.asarray(sample_images(model, params, key, SAMPLES))
    inputs = even_batch(split, PAIRS)
    means = np.asarray(reconstruct_images(model, params, key, inputs))
    likely = draw_likely(model, params, latents=ROWS, samples=COLUMNS, seed=seed)
    drawn = {
        "samples": grid(samples, 8, levels=levels),
        "reconstructions": pair_grid(np.asarray(inputs.image), means, 4, levels=levels),
        "mean_and_samples": mean_and_samples(likely.mean, likely.samples, levels=levels),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        save_png(directory / f"{name}.png", picture)
    pictures = [Picture(CAPTIONS[name], directory / f"{name}.png") for name in drawn]
    pictures += latent_pictures.draw_latent_pictures(model, params, split, directory, levels=levels, seed=seed)
    return pictures


def extremes_picture(
    model: Model, params: Params, split: Split, bounds: Float[np.ndarray, " images"], *, levels: int, seed: int
) -> np.ndarray:
    """The images of the highest and of the lowest bounds, from the outermost on, each beside its reconstruction.

    Args:
      model: any model.
      params: its parameters.
      split: where the images are.
      bounds: of each of them, nats.
      levels: the highest pixel level.
      seed: of the codes.
    """
    order = np.argsort(-bounds, kind="stable")
    rows = np.concatenate([order[:ROWS], order[::-1][:ROWS]])
    batch = Batch(jnp.asarray(split.images[rows]), jnp.asarray(split.labels[rows]))
    means = np.asarray(reconstruct_images(model, params, jax.random.key(seed), batch))
    pairs = np.stack([split.images[rows].astype(np.float64), means], axis=1)
    best, worst = np.split(pairs, 2)
    labels = ["highest", "reconstruction", "lowest", "reconstruction"]
    return labeled_rows(np.concatenate([best, worst], axis=1), labels, levels=levels)


def captioned(directory: Path) -> list[Picture]:
    """The pictures in a directory with their captions, as they are drawn; others after them, by name."""
    place = {name: index for index, name in enumerate(CAPTIONS)}
    paths = [path for path in directory.glob("*") if path.suffix in (".png", ".gif", ".svg")]
    paths.sort(key=lambda path: (place.get(path.stem, len(place)), path.stem))
    return [Picture(CAPTIONS.get(path.stem, path.stem), path) for path in paths]


@partial(jax.jit, static_argnums=(0, 3))
def sample_images(
    model: Model, params: Params, key: Key[Array, ""], count: int
) -> Integer[Array, "count height width channels"]:
    """Images of the model: latents from the prior, then pixels; integer levels."""
    key_latents, key_pixels = jax.random.split(key)
    _, pixels = model.generate(params, key_latents, count)
    return pixels.sample(key_pixels)


@partial(jax.jit, static_argnums=0)
def reconstruct_images(
    model: Model, params: Params, key: Key[Array, ""], batch: Batch
) -> Float[Array, "batch height width channels"]:
    """The likelihood's mean, in levels, at one latent of the recognition model."""
    return model.infer(params, key, batch).pixels.mean
