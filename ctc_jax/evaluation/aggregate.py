"""Whether the latents of real images, all together, are like those of the prior. Tests: test_aggregate.py.

Where they are not, samples of the prior are decoded from places that no image uses (Hoffman and Johnson 2016, ELBO
surgery; Rosca et al. 2018, arXiv:1802.06847).
"""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch, Split, evaluation_batches
from ctc_jax.evaluation.even_rows import even_rows
from ctc_jax.models import Model, Params

PERMUTATIONS = 200
# Latents a device call.
CHUNK = 100


def aggregate_statistics(model: Model, params: Params, split: Split, *, images: int, seed: int) -> dict[str, float]:
    """One draw of q(z|x) for each of some images against as many of p(z), by the products of mask and value.

    Args:
      model: any.
      params: its parameters.
      split: integer images.
      images: how many, evenly apart, all of them if there are fewer.
      seed: of the draws.

    Returns:
      `aggregate_mean_shift/<layer>`: root mean square over its numbers of the difference of means, in standard
        deviations of both sets together.
      `aggregate_variance_ratio/<layer>`: mean variance of its numbers over that of the prior's; 1 is best.
      `aggregate_discrepancy/<layer>`: squared maximum mean discrepancy (Gretton et al. 2012), unbiased, so that equal
        laws have 0 in the mean and may fall below.
      `aggregate_p_value/<layer>`: the chance of one as large if both sets were of one law, by permutations.
    """
    key_posterior, key_prior = jax.random.split(jax.random.key(seed))
    rows, encoded = even_rows(len(split), images), []
    images, split = len(rows), replace(split, images=split.images[rows], labels=split.labels[rows])
    for batch, weight, first in evaluation_batches(split, CHUNK):
        drawn = jax.device_get(_encoded(model, params, jax.random.fold_in(key_posterior, first), batch))
        encoded.append({name: of[weight > 0] for name, of in drawn.items()})
    prior = [
        jax.device_get(_generated(model, params, jax.random.fold_in(key_prior, first), CHUNK))
        for first in range(0, images, CHUNK)
    ]
    numbers: dict[str, float] = {}
    for name in encoded[0]:
        q, p = (
            np.concatenate([part[name] for part in parts])[:images].astype(np.float64) for parts in (encoded, prior)
        )
        both = np.concatenate([q, p])
        scale = both.std(axis=0)
        # Numbers that never vary, as those that no mask ever selects, are alike.
        scale[scale == 0] = 1.0
        numbers[f"aggregate_mean_shift/{name}"] = float(np.sqrt(np.mean(((q - p).mean(axis=0) / scale) ** 2)))
        numbers[f"aggregate_variance_ratio/{name}"] = float(q.var(axis=0).mean() / max(p.var(axis=0).mean(), TINY))
        found, chance = discrepancy(q / scale, p / scale, seed)
        numbers[f"aggregate_discrepancy/{name}"], numbers[f"aggregate_p_value/{name}"] = found, chance
    return numbers


TINY = np.finfo(np.float64).tiny


def discrepancy(
    one: Float[np.ndarray, "images units"], other: Float[np.ndarray, "images units"], seed: int
) -> tuple[float, float]:
    """Squared maximum mean discrepancy of two sets of one size, and its p-value by permutations of their union.

    The kernel is Gaussian with the median distance as its width.
    """
    both, count = np.concatenate([one, other]), len(one)
    norms = np.sum(both**2, axis=1)
    squared = np.maximum(norms[:, None] + norms[None] - 2.0 * both @ both.T, 0.0)
    width = np.median(squared[np.triu_indices(len(both), 1)]) or 1.0
    kernel = np.exp(-squared / width)
    np.fill_diagonal(kernel, 0.0)
    random = np.random.default_rng(seed)
    signs = np.ones((1 + PERMUTATIONS, 2 * count))
    signs[:, count:] = -1.0
    signs[1:] = random.permuted(signs[1:], axis=1)
    within_less_between = np.sum((signs @ kernel) * signs, axis=1)
    # Sums over pairs of one set and over pairs of two are divided by their own numbers.
    total = kernel.sum()
    within, between = (total + within_less_between) / 2, (total - within_less_between) / 2
    found = within / (count * (count - 1)) - between / count**2
    return float(found[0]), float(np.mean(found >= found[0]))


@partial(jax.jit, static_argnums=0)
def _encoded(model: Model, params: Params, key: Key[Array, ""], batch: Batch) -> dict[str, Float[Array, "batch units"]]:
    sites = model.infer(params, key, batch).sites
    return {name: site.draw.product.reshape(len(batch.image), -1) for name, site in sites.items()}


@partial(jax.jit, static_argnums=(0, 3))
def _generated(
    model: Model, params: Params, key: Key[Array, ""], count: int
) -> dict[str, Float[Array, "{count} units"]]:
    latents, _ = model.generate(params, key, count)
    return {name: latent.product.reshape(count, -1) for name, latent in latents.items()}
