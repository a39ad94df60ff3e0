"""log p(x) by annealed importance sampling, and how close it comes. Tests: tests/evaluation/test_annealed.py."""

import jax
import numpy as np

from ctc_jax.data import Split
from ctc_jax.evaluation.bounds import bits_per_dimension
from ctc_jax.evaluation.even_rows import even_batch
from ctc_jax.inference import AnnealingOptions, annealed, bracketed, tuned_steps
from ctc_jax.models import Model, Params


def annealed_statistics(
    model: Model, params: Params, split: Split, *, images: int, options: AnnealingOptions, seed: int
) -> dict[str, float]:
    """A lower bound on log p(x) of some images, and bounds from both sides for as many of the model's own.

    The gap of the model's own images, whose exact latents are known, says how far below log p(x) the bound of real ones
    lies, as far as the model is like them.

    Args:
      model: any with a latent that is not given with the image.
      params: its parameters.
      split: integer images.
      images: how many, evenly apart, all of them if there are fewer.
      options: temperatures, chains and transitions; step sizes are tuned first, if at all, and then held.
      seed: of everything drawn.

    Returns:
      Numbers whose names carry their units.

    Raises:
      UserError: there is nothing to infer in the model.
    """
    images = min(images, len(split))
    batch = even_batch(split, images)
    key_tune, key_run, key_own = jax.random.split(jax.random.key(seed), 3)
    steps = tuned_steps(model, params, key_tune, batch, options)
    found = annealed(model, params, key_run, batch, options, steps)
    forward, reverse = bracketed(model, params, key_own, images, options)
    lower = float(np.mean(found.lower))
    gap = reverse.upper - forward.lower
    return {
        "annealed_bound_nats": lower,
        "annealed_bound_bpd": bits_per_dimension(lower, split.images.shape[1:]),
        "annealed_acceptance": float(np.mean(found.acceptance)),
        "annealed_images": images,
        "annealed_own/lower_nats": float(np.mean(forward.lower)),
        "annealed_own/upper_nats": float(np.mean(reverse.upper)),
        "annealed_own/gap_nats": float(np.mean(gap)),
    }
