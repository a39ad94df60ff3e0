"""Every number about a trained model, on a whole split. Tests: tests/evaluation/test_evaluate.py."""

from pathlib import Path

import jax
import numpy as np
from jax.sharding import NamedSharding

from ctc_jax.data import Split
from ctc_jax.evaluation.activity import active_units
from ctc_jax.evaluation.aggregate import aggregate_statistics
from ctc_jax.evaluation.annealed import annealed_statistics
from ctc_jax.evaluation.bounds import bits_per_dimension, evaluate_elbo, evaluate_importance
from ctc_jax.evaluation.calibration import calibration, calibration_picture, calibration_statistics
from ctc_jax.evaluation.code_draws import draw_codes
from ctc_jax.evaluation.copying import compare_copies, copying_picture, nearest_training
from ctc_jax.evaluation.even_rows import even_batch, even_rows
from ctc_jax.evaluation.gap import gap, gap_statistics
from ctc_jax.evaluation.masks import mask_statistics
from ctc_jax.evaluation.multimodality import draw_likely, sample_statistics
from ctc_jax.evaluation.options import EvaluateOptions
from ctc_jax.evaluation.pictures import extremes_picture
from ctc_jax.evaluation.quality import Reference, sample_quality
from ctc_jax.evaluation.refinement import refinement_picture, refinement_statistics
from ctc_jax.evaluation.sharpness import laplacian_variance
from ctc_jax.inference import AbstractMethod, InferenceOptions
from ctc_jax.models import Model, Params
from ctc_jax.reporting import save_bytes, save_png


def evaluate(
    model: Model,
    params: Params,
    split: Split,
    options: EvaluateOptions,
    *,
    levels: int,
    seed: int,
    sharding: NamedSharding | None = None,
    reference: Reference | None = None,
    method: tuple[AbstractMethod, InferenceOptions] | None = None,
    pictures: Path | None = None,
) -> dict[str, float]:
    """Bounds and their gap, KL, activity, calibration and use of masks of each layer, multimodality, sample quality.

    Args:
      model: any model.
      params: its parameters.
      split: integer images; every one is used exactly once.
      options: how much of what is measured.
      levels: the highest pixel level.
      seed: of all samples; the figures depend on nothing else that is random.
      sharding: any sharding of the mesh to use; None is the default device.
      reference: what `build_reference` makes of the same options, for the measures of sample quality.
      method: of inference, and how many chains and moves, for `evaluate.inference_images`.
      pictures: the directory that gets the pictures of what is measured, None for no pictures.

    Returns:
      Numbers whose names carry their units. `importance_bound_nats` is the bound with
      `evaluate.importance_samples` samples, which `importance_samples` repeats. A single image has no standard error.

    Raises:
      ValueError: `evaluate.quality_samples` or `copying_samples` is above 0 and there is no reference, or
        `evaluate.inference_images` and there is no method.
    """
    if options.inference_images and method is None:
        raise ValueError("inference_images are moved by a method, and there is none")
    if (options.quality_samples or options.copying_samples) and reference is None:
        raise ValueError("quality_samples and copying_samples need a reference; build_reference makes one")
    shared = {"batch_size": options.batch_size, "seed": seed, "sharding": sharding}
    elbo = evaluate_elbo(model, params, split, **shared)
    bounds = evaluate_importance(model, params, split, samples=options.importance_samples, **shared)
    importance = float(np.mean(bounds, dtype=np.float64))
    if pictures is not None:
        save_png(pictures / "extremes.png", extremes_picture(model, params, split, bounds, levels=levels, seed=seed))
    likely = draw_likely(model, params, latents=options.latents, samples=options.likelihood_samples, seed=seed)
    shown = split.images[even_rows(len(split), options.latents * options.likelihood_samples)]
    return {
        **elbo,
        "importance_bound_nats": importance,
        "importance_bound_bpd": bits_per_dimension(importance, split.images.shape[1:]),
        **_standard_error(bounds),
        "importance_samples": options.importance_samples,
        **_annealed(model, params, split, options, seed),
        **_gap(model, params, split, options, seed),
        **active_units(model, params, split, batch_size=options.batch_size),
        **_refinement(model, params, split, options, seed, method, levels, pictures),
        **_calibration(model, params, split, options, seed, pictures),
        **mask_statistics(model, params, split, batch_size=options.batch_size, seed=seed),
        **sample_statistics(likely, levels),
        "sharpness/data": float(laplacian_variance(shown, levels).mean()),
        **_quality(model, params, split, options.quality_samples, reference, levels, seed),
        **_copying(model, params, split, options.copying_samples, reference, levels, seed, pictures),
        "images": len(split),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
    }


def _annealed(model, params, split, options, seed) -> dict[str, float]:
    if not options.annealed_images:
        return {}
    return annealed_statistics(
        model, params, split, images=options.annealed_images, options=options.annealing, seed=seed
    )


def _gap(model, params, split, options, seed) -> dict[str, float]:
    if not options.gap_images:
        return {}
    batch = even_batch(split, options.gap_images)
    return gap_statistics(gap(model, params, jax.random.key(seed), batch, **options.gap))


def _refinement(model, params, split, options, seed, method, levels, pictures) -> dict[str, float]:
    if not options.inference_images:
        return {}
    given = model, params, jax.random.key(seed), even_batch(split, options.inference_images), *method
    if pictures is not None:
        save_png(pictures / "refinement.png", refinement_picture(*given, levels=levels))
    return refinement_statistics(*given)


def _calibration(model, params, split, options, seed, pictures) -> dict[str, float]:
    if not options.calibration_images:
        return {}
    found = calibration(model, params, jax.random.key(seed), options.calibration_images)
    if pictures is not None:
        save_bytes(pictures / "calibration.png", calibration_picture(found))
    aggregate = aggregate_statistics(model, params, split, images=options.calibration_images, seed=seed)
    return {**calibration_statistics(found), **aggregate}


def _quality(model, params, split, samples, reference, levels, seed) -> dict[str, int | float]:
    if not samples:
        return {}
    return sample_quality(model, params, split, samples=samples, reference=reference, levels=levels, seed=seed)


def _copying(model, params, split, samples, reference, levels, seed, pictures) -> dict[str, int | float]:
    if not samples:
        return {}
    drawn = draw_codes(model, params, codes=samples, seed=seed).samples[0]
    unseen = split.images[even_rows(len(split), samples)]
    numbers: dict[str, int | float] = {}
    for index, (name, space) in enumerate(reference.spaces.items()):
        found, other = (nearest_training(images, reference.corpus, space, levels) for images in (drawn, unseen))
        numbers |= {f"{measure}/{name}": value for measure, value in compare_copies(found, other).items()}
        if pictures is not None and not index:
            save_png(pictures / "copying.png", copying_picture(drawn, found, reference.corpus, levels))
    return {**numbers, "copying_samples": samples}


def _standard_error(bounds: np.ndarray) -> dict[str, float]:
    if len(bounds) < 2:
        return {}
    return {"importance_bound_standard_error_nats": float(np.std(bounds, ddof=1) / np.sqrt(len(bounds)))}
