"""What a finished run of claim e is judged by beside its bound, all without training. Tests: test_choice_judges.py.

Kept in the run's folder as `judges.json`, so that it is done once.
"""

import dataclasses
import json
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Array, Float, Key, Num

from benchmarks.claims.linear_probe import r_squared
from benchmarks.claims.whole_digits import Classify, whole_digits
from ctc_jax import arguments, data, evaluation
from ctc_jax.data import Batch, Dataset, Split
from ctc_jax.data.binarization import binarized
from ctc_jax.distributions import CATEGORICAL
from ctc_jax.evaluation.classifier import ClassifierNetwork
from ctc_jax.evaluation.classifier_cache import cached_classifier
from ctc_jax.evaluation.features import FeatureSpace
from ctc_jax.evaluation.latent_pictures import exchange
from ctc_jax.evaluation.masks import mask_probs
from ctc_jax.models import Latents, Model, Params
from ctc_jax.models.networks.class_conditional import LABEL
from ctc_jax.run import Run

SAMPLES, FITTED, TESTED, SWAPPED = 1_000, 2_000, 1_000, 200
CALL = 500  # images
SEED = 9_001
FILE = "judges.json"


def judged(run: Run) -> dict[str, float]:
    """The figures kept beside the run, none where it was not judged."""
    path = run.workdir / FILE
    return json.loads(path.read_text()) if path.exists() else {}


def judge(run: Run) -> None:
    """Finds what is not kept yet, and keeps it.

    `whole/samples`, `whole/real` and the other figures of `whole_digits`; `place/...`: of `place`; `follows_masks`: of
    `follows_masks`, where masks choose among values that lie on the image.
    """
    if judged(run):
        return
    run = dataclasses.replace(run, known_dataset=_dataset(json.dumps(run.config.data.to_dict())))
    highest, side = 2**run.space.bits - 1, run.dataset.train.images.shape[1]
    classify = digit_classifier(json.dumps(run.config.data.to_dict()))
    real = run.dataset.test.images[:SAMPLES]
    shown = {"samples": run.sample(jax.random.key(SEED), SAMPLES).astype(np.uint8), "real": real}
    found: dict[str, float] = {}
    for which, canvases in shown.items():
        figures = whole_digits(canvases, classify, highest=highest, side=side)
        found |= {f"{name}/{which}": figure for name, figure in figures.items()}
    found |= {f"place/{name}": share for name, share in place(run).items()}
    if any(_chooses(site) for site in run.model.mask_sites):
        split = run.dataset.test
        batch = arguments.batch(run.space, split.images[:SWAPPED], split.labels[:SWAPPED])
        found["follows_masks"] = float(follows_masks(run.model, run.params, jax.random.key(SEED), batch))
    (run.workdir / FILE).write_text(json.dumps(found, indent=1) + "\n")


@cache
def _dataset(section: str) -> Dataset:
    return data.build(ml_collections.ConfigDict(json.loads(section)))


@cache
def digit_classifier(section: str) -> Classify:
    """Probabilities of labels of single digits, by the classifier of evaluation on the data without a canvas.

    Args:
      section: `data` of a config, as JSON.
    """
    alone = json.loads(section) | {"canvas": 0, "objects": 1, "distractors": 0}
    dataset = _dataset(json.dumps(alone))
    params = cached_classifier(dataset, data.places(ml_collections.ConfigDict(alone)).directory).params
    network = ClassifierNetwork(dataset.classes)
    space = FeatureSpace(jax.jit(lambda images: jax.nn.softmax(network.apply(params, images).logits)))
    return lambda images: space(images, 2**dataset.bits - 1)


def place(run: Run) -> dict[str, float]:
    """R^2 on test images of where the objects of a canvas lie, their mean place, from each part of a code.

    By `pixels`, which any code could repeat; each latent, E_q[m s] of its units; `masks of` each that has some, q(m)
    alone; `all` latents. Fitted to training images at places of their own.
    """
    train, test = run.dataset.train, run.dataset.test
    rows, generator = np.arange(FITTED), np.random.default_rng(SEED)
    images, corners = train.variation.draw_with_corners(train.images, rows, generator)
    images = binarized(images, train.highest_grey, generator) if train.highest_grey else images
    fitted = codes(run, Split(images, train.labels[rows]))
    tested = codes(run, Split(test.images[:TESTED], test.labels[:TESTED]))
    places = [of.mean(axis=1) for of in (corners, test.corners[:TESTED])]
    return {name: r_squared(of, places[0], tested[name], places[1]) for name, of in fitted.items()}


def codes(run: Run, split: Split) -> dict[str, Num[np.ndarray, "images units"]]:
    """The parts of a code by which a place is to be found."""
    found: dict[str, list[Any]] = {}
    for first in range(0, len(split), CALL):
        of_call = slice(first, first + CALL)
        batch = arguments.batch(run.space, split.images[of_call], split.labels[of_call])
        means = evaluation.posterior_means(run.model, run.params, batch)
        parts = {name: of for name, of in means.items() if name != LABEL}
        if len(parts) > 1:
            parts["all"] = jnp.concatenate(list(parts.values()), axis=1)
        if run.model.mask_sites:
            probs = mask_probs(run.model, run.params, jax.random.key(SEED), batch)
            parts |= {f"masks of {name}": of.reshape(len(of), -1) for name, of in probs.items()}
        parts["pixels"] = batch.image.reshape(len(batch.image), -1)
        for name, of in parts.items():
            found.setdefault(name, []).append(np.asarray(of, np.float64))
    return {name: np.concatenate(of) for name, of in found.items()}


def _chooses(site) -> bool:
    return bool(site.grid) and site.valued and site.kind == CATEGORICAL


@partial(jax.jit, static_argnums=0)
def follows_masks(model: Model, params: Params, key: Key[Array, ""], batch: Batch) -> Float[Array, ""]:
    """How far what is painted goes, of the way to another image's place, when it is given that image's masks.

    0 where it stays, 1 where masks alone say where. Each image keeps its values and its code above and is given the
    masks of the next one; places are centers of mass of images and of the likelihood's mean, and the figure is the
    slope of the way gone on the way there, by least squares.
    """
    latents = model.infer(params, key, batch).latents
    mixed: Latents = dict(latents)
    for site in model.mask_sites:
        if _chooses(site):
            own = latents[site.name]
            mixed[site.name] = exchange(own, jax.tree.map(lambda leaf: jnp.roll(leaf, -1, axis=0), own))
    own = center_of_mass(batch.image)
    there = jnp.roll(own, -1, axis=0) - own
    gone = center_of_mass(model.decode(params, mixed).mean) - center_of_mass(model.decode(params, latents).mean)
    return jnp.sum(gone * there) / jnp.sum(there**2)


def center_of_mass(images: Num[Array, "batch height width 1"]) -> Float[Array, "batch 2"]:
    """Row and column; the middle of a black image."""
    levels = images[..., 0].astype(jnp.float32)
    down, right = (jnp.arange(size) - (size - 1) / 2 for size in levels.shape[1:])
    moments = jnp.einsum("bij,i->b", levels, down), jnp.einsum("bij,j->b", levels, right)
    return jnp.stack(moments, axis=1) / jnp.maximum(jnp.sum(levels, axis=(1, 2)), 1e-6)[:, None]
