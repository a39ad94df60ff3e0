"""What the levels of a hierarchy do, in pictures. Tests: tests/evaluation/test_hierarchy_pictures.py."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch, Split
from ctc_jax.evaluation.masks import information
from ctc_jax.models import Params
from ctc_jax.models.ctc_hierarchy import TOP, CTCHierarchy
from ctc_jax.reporting import Picture, grid, mean_and_samples, save_png

# Of the positions of a window, row by row: red, yellow; blue, green.
POSITIONS = np.array([[215, 48, 39], [253, 196, 55], [49, 88, 200], [44, 160, 70]], np.float64)
ROWS, COLUMNS, CHANNELS = 8, 7, 3
SWAPPED = 6
JUDGED = 256  # images by which the most telling masks are chosen
CAPTIONS = {
    "one_code": "Each row one top code: the likelihood's mean at seven draws of the levels below, at the left their "
    "mean",
    "masks": "Test images, and q(m) of the masks that differ most from image to image at each level: of a window the "
    "likeliest position (red top left, yellow top right, blue bottom left, green bottom right), dark where all are "
    "alike; of a gate the probability that it is open",
    "what_where": "Values of the image at the left of a row, positions of that at the top of a column; on the diagonal "
    "an image's own",
}


def draw_hierarchy_pictures(
    model: CTCHierarchy, params: Params, split: Split, directory: Path, *, levels: int, seed: int
) -> list[Picture]:
    """Several images of one top code; masks; and, where there is pooling, values with another image's masks.

    Args:
      model: the hierarchy.
      params: its parameters.
      split: where the images come from.
      directory: gets `one_code.png`, `masks.png` where a level has masks, `what_where.png` where one pools.
      levels: the highest pixel level.
      seed: of all samples.
    """
    if not any(model.network.families):
        return []
    key, drawn = jax.random.key(seed), {}
    images = np.asarray(_below_one_code(model, params, key, ROWS, COLUMNS))
    drawn["one_code"] = mean_and_samples(images.mean(axis=1), images, levels=levels, heading="draws below")
    judged = Batch(jnp.asarray(split.images[:JUDGED]), jnp.asarray(split.labels[:JUDGED]))
    maps = _mask_maps(model, params, key, judged)
    if maps:
        shown = [_shades(split.images[:ROWS], levels), *maps]
        cells = [column[row] for row in range(min(ROWS, len(split))) for column in shown]
        drawn["masks"] = grid(np.stack(cells), len(shown))
    if any(family is not None and family.pooled for family in model.network.families):
        some = Batch(judged.image[:SWAPPED], judged.label[:SWAPPED])
        swapped = np.asarray(_exchanged(model, params, key, some))
        table = np.concatenate([split.images[None, : len(swapped)].astype(np.float64), swapped])
        left = np.concatenate([np.full_like(table[:1, 0], levels / 2), table[0]])
        cells = np.concatenate([left[:, None], table], axis=1).reshape(-1, *table.shape[2:])
        drawn["what_where"] = grid(cells, len(swapped) + 1, levels=levels)
    directory.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        save_png(directory / f"{name}.png", picture)
    return [Picture(CAPTIONS[name], directory / f"{name}.png") for name in drawn]


@partial(jax.jit, static_argnums=(0, 3, 4))
def _below_one_code(
    model: CTCHierarchy, params: Params, key: Key[Array, ""], codes: int, draws: int
) -> Float[Array, "codes draws height width channels"]:
    """Means of the likelihood, in levels."""
    of_codes, below = jax.random.split(key)
    latents, _ = model.generate(params, of_codes, codes)

    def again(key):
        return model.generate_below(params, key, {TOP: latents[TOP]})[1].mean

    return jnp.swapaxes(jax.lax.map(again, jax.random.split(below, draws)), 0, 1)


@partial(jax.jit, static_argnums=0)
def _exchanged(
    model: CTCHierarchy, params: Params, key: Key[Array, ""], batch: Batch
) -> Float[Array, "values masks height width channels"]:
    """The likelihood's mean with the values of one image and the masks of another, for all pairs."""
    latents, _ = model.recognize(params, key, batch)

    def with_masks_of(index):
        mixed = {TOP: latents[TOP]}
        for level, family in enumerate(model.network.families):
            name = f"level_{level + 1}"
            if family is not None:
                own = latents[name]
                masks_of = jnp.broadcast_to(own[index][None], own.shape)
                mixed[name] = family.exchanged(own, masks_of) if family.pooled else own
        return model.decode(params, mixed).mean

    return jnp.swapaxes(jax.lax.map(with_masks_of, jnp.arange(len(batch.image))), 0, 1)


def _mask_maps(model, params, key, batch) -> list[np.ndarray]:
    """For each level with masks those of the channels that say most, each as `[images, height, width, 3]` shades."""
    probs, found = jax.device_get(_mask_probs(model, params, key, batch)), []
    height, width, _ = model.image_shape
    for level, family in enumerate(model.network.families):
        if family is None or family.kind is None:
            continue
        of_level = np.asarray(probs[f"level_{level + 1}"], np.float64)
        rows, columns, channels = model.network.unit_shape(level)
        if family.pooled:
            rows, columns = rows // 2, columns // 2
        says = information(of_level.mean(axis=0), of_level).reshape(rows, columns, channels).sum(axis=(0, 1))
        by_place = of_level.reshape(len(of_level), rows, columns, channels, -1)
        for channel in np.argsort(-says, kind="stable")[:CHANNELS]:
            shades = _of_window(by_place[:, :, :, channel]) if family.pooled else _of_gate(by_place[:, :, :, channel])
            found.append(shades.repeat(height // rows, axis=1).repeat(width // columns, axis=2))
    return found


_mask_probs = jax.jit(lambda model, *of: model.mask_probs(*of), static_argnums=0)


def _of_window(probs: np.ndarray) -> np.ndarray:
    certainty = (probs.max(axis=-1, keepdims=True) - 0.25) / 0.75
    return POSITIONS[probs.argmax(axis=-1)] * certainty


def _of_gate(probs: np.ndarray) -> np.ndarray:
    return np.repeat(255.0 * probs[..., :1], 3, axis=-1)


def _shades(images: np.ndarray, levels: int) -> np.ndarray:
    scaled = images.astype(np.float64) * (255.0 / levels)
    return scaled if scaled.shape[-1] == 3 else np.repeat(scaled[..., :1], 3, axis=-1)
