"""What a method of inference makes of test images, in numbers and a picture. Tests: test_refinement.py."""

import time
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch
from ctc_jax.evaluation.even_rows import even_rows
from ctc_jax.inference import REGISTRY, AbstractMethod, InferenceOptions, Inferred, infer
from ctc_jax.models import Latents, Model, Params
from ctc_jax.reporting.pictures import Picture, labeled_rows

# R-hat above which chains have not found the same law (Vehtari et al. 2021).
MIXED = 1.01
# Images in the picture, and moves after which they are shown, beside the last.
ROWS, SHOWN = 8, (1, 3, 10, 30, 100, 300)


def refinement_statistics(
    model: Model,
    params: Params,
    key: Key[Array, ""],
    batch: Batch,
    method: AbstractMethod,
    options: InferenceOptions,
) -> dict[str, int | float]:
    """Numbers about a method's moves from the recognition model on.

    Args:
      model: any that inference serves.
      params: its parameters.
      key: of starts and moves.
      batch: images.
      method: descent or chains.
      options: how many chains and moves.

    Returns:
      `inference/<method>/start_nats`, `.../end_nats`, `.../gain_nats`: mean log p(x, z) where the recognition
        model left the latents, at the last move, and the difference; none is a bound on log p(x). `.../acceptance`, and
        `.../wall_seconds` with compilation. Of chains: `.../effective_samples`, the median over numbers of all
        images; `.../r_hat` of the worst number of an image, the median over images; `.../unmixed_share`, of numbers
        whose R-hat is above 1.01.

    Raises:
      UserError: chains diverged, or the model is not served.
    """
    began = time.perf_counter()
    found = infer(model, params, key, batch, method, options)
    seconds = time.perf_counter() - began
    numbers: dict[str, float] = {
        "start_nats": found.start.mean(),
        "end_nats": found.log_joint[-1].mean(),
        "gain_nats": found.gain.mean(),
        "acceptance": found.acceptance.mean(),
        **(_mixing(found) if method.samples else {}),
        "wall_seconds": seconds,
    }
    name = next(name for name, part in REGISTRY.items() if isinstance(method, part))
    of_method = {f"inference/{name}/{of}": float(value) for of, value in numbers.items()}
    return {**of_method, "inference_images": len(batch.image)}


def _mixing(found: Inferred) -> dict[str, float]:
    """Of numbers m * s. One that is the same in all draws is NaN in both: its chains agree, and it tells no size."""
    numbers = {"effective_samples": np.nanmedian(_of_images(found.effective_samples()))}
    if found.log_joint.shape[1] > 1:
        ratio = np.nan_to_num(_of_images(found.potential_scale_reduction()), nan=1.0, posinf=np.inf)
        numbers["r_hat"] = np.median(ratio.max(axis=1))
        numbers["unmixed_share"] = np.mean(ratio > MIXED)
    return numbers


def _of_images(numbers: dict[str, np.ndarray]) -> Float[np.ndarray, "images units"]:
    return np.concatenate([np.asarray(of, np.float64).reshape(len(of), -1) for of in numbers.values()], axis=1)


def refinement_picture(
    model: Model,
    params: Params,
    key: Key[Array, ""],
    batch: Batch,
    method: AbstractMethod,
    options: InferenceOptions,
    *,
    levels: int,
) -> Picture:
    """A row an image: itself, the likelihood's mean at the recognition model's center, and after ever more moves.

    Args:
      model: any that inference serves.
      params: its parameters.
      key: of starts and moves.
      batch: images, of which some are shown, evenly apart.
      method: descent or chains, of which one is shown.
      options: as many moves as these have, warm-up and draws.
      levels: the highest pixel level.
    """
    rows = even_rows(len(batch.image), ROWS)
    batch = jax.tree.map(lambda leaf: leaf[rows], batch)
    moves = options.warmup + options.draws
    found = infer(model, params, key, batch, method, replace(options, chains=1, warmup=0, draws=moves))
    shown = [*(of for of in SHOWN if of < moves), moves]
    means = [_centers(model, params, batch)]
    for move in shown:
        latents = jax.tree.map(lambda of, last=move - 1: jnp.asarray(of[last, 0]), found.latents)
        means.append(_means(model, params, latents))
    cells = np.stack([np.asarray(batch.image, np.float64), *map(np.asarray, means)], axis=1)
    return labeled_rows(cells, ["image", "start", *map(str, shown)], levels=levels)


@partial(jax.jit, static_argnums=0)
def _centers(model: Model, params: Params, batch: Batch) -> Float[Array, "batch height width channels"]:
    return model.infer(params, None, batch).pixels.mean


@partial(jax.jit, static_argnums=0)
def _means(model: Model, params: Params, latents: Latents) -> Float[Array, "batch height width channels"]:
    return model.decode(params, latents).mean
