"""What latents and their masks do, in pictures. Tests: tests/evaluation/test_latent_pictures.py."""

import colorsys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch, Split
from ctc_jax.distributions import BERNOULLI, CATEGORICAL, MaskSite
from ctc_jax.distributions.masked import Masked
from ctc_jax.evaluation.even_rows import even_batch, even_rows
from ctc_jax.evaluation.masks import information, mask_probs
from ctc_jax.models import Latents, Model, Params
from ctc_jax.reporting import Picture, grid, labeled_rows, mean_and_samples, save_gif, save_png
from ctc_jax.reporting.latent_groups import by_resolution

# Of the positions of a 2 x 2 window, row by row: red, yellow; blue, green.
WINDOW_COLORS = np.array([[215, 48, 39], [253, 196, 55], [49, 88, 200], [44, 160, 70]], np.float64)
ROWS, COLUMNS, CHANNELS = 8, 7, 3
TEMPERATURES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
SWAPPED = 6
PAINTED, TIMES = 16, 12  # samples of an animation, of which a strip shows the first rows at so many times
JUDGED = 256  # images by which the most telling masks are chosen
CAPTIONS = {
    "one_code": "Each row one code, the first latent: the likelihood's mean at seven draws of those below, at the left "
    "their mean",
    "temperatures": "Each row one draw of the noise of all latents, at temperatures of their priors from 0, where they "
    "are at their means, to 1: the likelihood's mean",
    "resolutions": "Each row one draw: the likelihood's mean where latents up to the resolution named, in generative "
    "order, are drawn and all others at their priors' means: what each paints",
    "masks": "Test images, and q(m) of the masks that differ most from image to image in each latent: of a choice the "
    "likeliest alternative by its color (of a window red top left, yellow top right, blue bottom left, green bottom "
    "right), dark where all are alike; of a gate the probability that it is open",
    "what_where": "Values of the image at the left of a row, choices of that at the top of a column; on the diagonal "
    "an image's own",
    "canvas": "Each row one sample of the prior: the mean of the pixels as if no more came, after so many latents",
    "painting": "Samples of the prior as they are painted: the mean of the pixels after each latent",
}


def draw_latent_pictures(
    model: Model, params: Params, split: Split, directory: Path, *, levels: int, seed: int
) -> list[Picture]:
    """Several images of one code; at several temperatures; with latents up to each resolution drawn; masks; values with
    another image's masks, where masks choose; what paints, painting.

    Args:
      model: any model; one without masks and with a single latent has no such pictures.
      params: its parameters.
      split: where the images come from.
      directory: gets `one_code.png`, `temperatures.png` and `resolutions.png` where there are several latents,
        `masks.png` where masks lie on the image, `what_where.png` where such masks choose among values; of a model with
        a canvas `canvas.png` and `painting.gif`.
      levels: the highest pixel level.
      seed: of all samples.
    """
    key, drawn = jax.random.key(seed), {}
    if len(model.latents) > 1:
        images = np.asarray(_below_one_code(model, params, key, ROWS, COLUMNS))
        drawn["one_code"] = mean_and_samples(images.mean(axis=1), images, levels=levels, heading="draws below")
        drawn["temperatures"] = _columns(
            model, params, key, levels, {f"{at:g}": dict.fromkeys(model.latents, at) for at in TEMPERATURES}
        )
        drawn["resolutions"] = _columns(model, params, key, levels, _up_to(model.latents))
    judged = even_batch(split, JUDGED)
    images = np.asarray(judged.image)
    on_image = [site for site in model.mask_sites if site.grid]
    if on_image:
        maps = _mask_maps(on_image, model, params, key, judged)
        columns = [_shades(images, levels), *maps]
        masks = [column[row] for row in even_rows(len(images), ROWS) for column in columns]
        drawn["masks"] = grid(np.stack(masks), len(columns))
    if any(_chooses(site) for site in on_image):
        some = even_batch(split, SWAPPED)
        swapped = np.asarray(_exchanged(model, params, key, some))
        table = np.concatenate([np.asarray(some.image, np.float64)[None], swapped])
        left = np.concatenate([np.full_like(table[:1, 0], levels / 2), table[0]])
        cells = np.concatenate([left[:, None], table], axis=1).reshape(-1, *table.shape[2:])
        drawn["what_where"] = grid(cells, len(swapped) + 1, levels=levels)
    frames = _painted(model, params, key)
    if frames is not None:
        shown = np.unique(np.linspace(0, len(frames) - 1, TIMES).round().astype(int))
        strip = np.swapaxes(np.asarray(frames)[shown, :ROWS], 0, 1)
        drawn["canvas"] = labeled_rows(strip, [str(time) for time in shown], levels=levels)
    directory.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        save_png(directory / f"{name}.png", picture)
    pictures = [Picture(CAPTIONS[name], directory / f"{name}.png") for name in drawn]
    if frames is not None:
        path = directory / "painting.gif"
        grids = [grid(np.asarray(frame), PAINTED // 2, levels=levels) for frame in frames]
        save_gif(path, grids, seconds=3.0, rest=2.0)
        pictures.append(Picture(CAPTIONS["painting"], path))
    return pictures


def _up_to(latents: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Temperatures of all latents by the resolution up to which they are drawn, at first none."""
    groups = list(by_resolution(latents).items())
    ends = np.unique(np.linspace(0, len(groups), COLUMNS + 1).round().astype(int))
    drawn_of = {groups[end - 1][0] if end else "means": [n for _, of in groups[:end] for n in of] for end in ends}
    return {label: {name: float(name in drawn) for name in latents} for label, drawn in drawn_of.items()}


def _columns(model, params, key, levels, temperatures: dict[str, dict[str, float]]) -> np.ndarray:
    """A column for each choice of temperatures, under its label."""
    images = [_at(model, params, key, jax.tree.map(jnp.float32, at)) for at in temperatures.values()]
    return labeled_rows(np.stack(images, axis=1), list(temperatures), levels=levels)


@partial(jax.jit, static_argnums=0)
def _at(
    model: Model, params: Params, key: Key[Array, ""], temperatures: dict[str, Float[Array, ""]]
) -> Float[Array, "rows height width channels"]:
    """Means of the likelihood, in levels."""
    return model.generate(params, key, ROWS, temperatures=temperatures)[1].mean


@partial(jax.jit, static_argnums=(0, 3, 4))
def _below_one_code(
    model: Model, params: Params, key: Key[Array, ""], codes: int, draws: int
) -> Float[Array, "codes draws height width channels"]:
    """Means of the likelihood, in levels."""
    of_codes, below = jax.random.split(key)
    latents, _ = model.generate(params, of_codes, codes)
    code = {model.latents[0]: latents[model.latents[0]]}

    def again(key):
        return model.generate(params, key, codes, given=code)[1].mean

    return jnp.swapaxes(jax.lax.map(again, jax.random.split(below, draws)), 0, 1)


@partial(jax.jit, static_argnums=0)
def _painted(
    model: Model, params: Params, key: Key[Array, ""]
) -> Float[Array, "times samples height width channels"] | None:
    """What a model paints, in levels; None where it has no canvas."""
    return model.frames(params, model.generate(params, key, PAINTED)[0])


def exchange(values_of: Masked, masks_of: Masked) -> Masked:
    """The selected values of one latent at the alternatives that the masks of another select: what, and where."""
    selected = jnp.sum(values_of.product, axis=-1, keepdims=True)
    return Masked(jnp.broadcast_to(selected, values_of.value.shape), masks_of.mask)


@partial(jax.jit, static_argnums=0)
def _exchanged(
    model: Model, params: Params, key: Key[Array, ""], batch: Batch
) -> Float[Array, "values masks height width channels"]:
    """The likelihood's mean with the values of one image and the masks of another, for all pairs."""
    latents = model.infer(params, key, batch).latents
    choosing = [site.name for site in model.mask_sites if site.grid and _chooses(site)]

    def with_masks_of(index):
        mixed: Latents = dict(latents)
        for name in choosing:
            own = latents[name]
            mixed[name] = exchange(own, jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[index][None], leaf.shape), own))
        return model.decode(params, mixed).mean

    return jnp.swapaxes(jax.lax.map(with_masks_of, jnp.arange(len(batch.image))), 0, 1)


def _chooses(site: MaskSite) -> bool:
    """A gate has no value where it is closed, so that only the values of one-hot masks can go elsewhere."""
    return site.valued and site.kind == CATEGORICAL


def _mask_maps(sites, model, params, key, batch) -> list[np.ndarray]:
    """The channels of masks that say most at each site, each as `[images, height, width, 3]` shades."""
    probs, found = jax.device_get(mask_probs(model, params, key, batch)), []
    height, width, _ = model.image_shape
    for site in sites:
        of_site = np.asarray(probs[site.name], np.float64)
        rows, columns, channels = site.grid
        informative = information(of_site.mean(axis=0), of_site).reshape(rows, columns, channels).sum(axis=(0, 1))
        on_map = of_site.reshape(len(of_site), rows, columns, channels, -1)
        for channel in np.argsort(-informative, kind="stable")[:CHANNELS]:
            shades = _of_gate if site.kind == BERNOULLI else _of_choice
            found.append(
                shades(on_map[:, :, :, channel]).repeat(height // rows, axis=1).repeat(width // columns, axis=2)
            )
    return found


def _of_choice(probs: np.ndarray) -> np.ndarray:
    count = probs.shape[-1]
    certainty = (probs.max(axis=-1, keepdims=True) - 1.0 / count) * count / (count - 1)
    hues = np.array([colorsys.hsv_to_rgb(index / count, 0.75, 0.85) for index in range(count)]) * 255.0
    colors = WINDOW_COLORS if count == len(WINDOW_COLORS) else hues
    return colors[probs.argmax(axis=-1)] * certainty


def _of_gate(probs: np.ndarray) -> np.ndarray:
    return np.repeat(255.0 * probs[..., :1], 3, axis=-1)


def _shades(images: np.ndarray, levels: int) -> np.ndarray:
    scaled = images.astype(np.float64) * (255.0 / levels)
    return scaled if scaled.shape[-1] == 3 else np.repeat(scaled[..., :1], 3, axis=-1)
