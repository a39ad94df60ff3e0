"""Every number about a trained model, on a whole split. Tests: tests/evaluation/test_evaluate.py."""

import numpy as np
from jax.sharding import NamedSharding

from ctc_jax.data import Dataset, Split
from ctc_jax.errors import ConfigError
from ctc_jax.evaluation import quality
from ctc_jax.evaluation.activity import active_units
from ctc_jax.evaluation.bounds import bits_per_dimension, evaluate_elbo, evaluate_importance
from ctc_jax.evaluation.masks import mask_statistics
from ctc_jax.evaluation.multimodality import draw_likely, sample_statistics
from ctc_jax.evaluation.quality import Reference, sample_quality
from ctc_jax.evaluation.sharpness import laplacian_variance
from ctc_jax.models import Model, Params


def check(config, dataset: Dataset | None = None) -> None:
    """Refuses numbers of the section `evaluate` that leave nothing to average over, and measures that cannot be had.

    Raises:
      ConfigError: a number is below 1, or quality is not to be measured so (of `dataset`, where one is given).
    """
    for key in ("importance_samples", "batch_size", "latents", "likelihood_samples"):
        if config[key] < 1:
            raise ConfigError(f"evaluate.{key}", config[key], "1 or more")
    quality.check(config, dataset)


def evaluate(
    model: Model,
    params: Params,
    split: Split,
    config,
    *,
    levels: int,
    seed: int,
    sharding: NamedSharding | None = None,
    reference: Reference | None = None,
) -> dict[str, float]:
    """Bounds, KL, active units and use of masks of each layer, sharpness, the multimodality gap and sample quality.

    Args:
      model: any model of the three questions.
      params: its parameters.
      split: integer images; every one is used exactly once.
      config: the section `evaluate` of configs/base.py.
      levels: the highest pixel level.
      seed: of all samples; the figures depend on nothing else that is random.
      sharding: any sharding of the mesh to use; None is the default device.
      reference: what `build_reference` makes of the same section, for the measures of sample quality.

    Returns:
      Numbers whose names carry their units. `importance_bound_nats` is the bound with
      `evaluate.importance_samples` samples, which `importance_samples` repeats. A single image has no standard error.

    Raises:
      ConfigError: a value of the section does not fit.
      ValueError: `evaluate.quality_samples` is above 0 and there is no reference.
    """
    check(config)
    if config.quality_samples and reference is None:
        raise ValueError("quality_samples are compared with a reference; build_reference makes one")
    shared = {"batch_size": config.batch_size, "seed": seed, "sharding": sharding}
    elbo = evaluate_elbo(model, params, split, **shared)
    bounds = evaluate_importance(model, params, split, samples=config.importance_samples, **shared)
    importance = float(np.mean(bounds, dtype=np.float64))
    likely = draw_likely(model, params, latents=config.latents, samples=config.likelihood_samples, seed=seed)
    shown = split.images[: config.latents * config.likelihood_samples]
    return {
        **elbo,
        "importance_bound_nats": importance,
        "importance_bound_bpd": bits_per_dimension(importance, split.images.shape[1:]),
        **_standard_error(bounds),
        "importance_samples": config.importance_samples,
        **active_units(model, params, split, batch_size=config.batch_size),
        **mask_statistics(model, params, split, batch_size=config.batch_size, seed=seed),
        **sample_statistics(likely, levels),
        "sharpness/data": float(laplacian_variance(shown, levels).mean()),
        **_quality(model, params, split, config.quality_samples, reference, levels, seed),
        "images": len(split),
    }


def _quality(model, params, split, samples, reference, levels, seed) -> dict[str, int | float]:
    if not samples:
        return {}
    return sample_quality(model, params, split, samples=samples, reference=reference, levels=levels, seed=seed)


def _standard_error(bounds: np.ndarray) -> dict[str, float]:
    if len(bounds) < 2:
        return {}
    return {"importance_bound_standard_error_nats": float(np.std(bounds, ddof=1) / np.sqrt(len(bounds)))}
