"""Whether masks say anything: collapse shows here. Tests: tests/evaluation/test_masks.py."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch, Split, evaluation_batches
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.models import Model, Params

# A mask is used when it tells more than this of the image, nats.
THRESHOLD = 0.01
# Of the latents that come before, for the mean of q(m | x, latents) of an image.
DRAWS = 4


def mask_statistics(model: Model, params: Params, split: Split, *, batch_size: int, seed: int) -> dict[str, float]:
    """Figures on masks of each latent that has some, over the split's images and averaged over its masks; else empty.

    Where q(m) depends on latents drawn before, q(m|x) is its mean over these. H(q(m|x)) is the jackknife's estimate
    from 4 draws of them, exact where nothing random comes before. Of masks that these latents decide alone, and not
    the image, some hundredths of a nat may be left.

    Returns:
      `mask_entropy_nats/<layer>`: entropy of E_x q(m|x); 0 where a mask is always the same.
      `mask_information_nats/<layer>`: mutual information of mask and image, that entropy less E_x H(q(m|x)); 0 where a
        mask says nothing of the image.
      `masks_used/<layer>`: the share of masks whose information is above 0.01 nats.
      `mask_kl_nats/<layer>`: what all masks of the layer cost, their part of its KL; the only one that is a sum. Masks
        with information that cost nothing repeat what their prior knows.
    """
    if not model.mask_sites:
        return {}
    sums: dict[str, list[np.ndarray]] = {}
    kl: dict[str, float] = {}
    for index, (batch, weight, _) in enumerate(evaluation_batches(split, batch_size)):
        key = jax.random.fold_in(jax.random.key(seed), index)
        of_batch, costs = _of_batch(model, params, key, batch, weight)
        for name, total in costs.items():
            kl[name] = kl.get(name, 0.0) + float(total)
        for name, found in of_batch.items():
            found = [np.asarray(part, np.float64) for part in found]
            sums[name] = [a + b for a, b in zip(sums[name], found, strict=True)] if name in sums else found
    statistics = {f"mask_kl_nats/{name}": total / len(split) for name, total in kl.items()}
    for name, (probs, entropies) in sums.items():
        of_mean = entropy(probs / len(split))
        says = np.maximum(of_mean - entropies / len(split), 0.0)
        statistics[f"mask_entropy_nats/{name}"] = float(of_mean.mean())
        statistics[f"mask_information_nats/{name}"] = float(says.mean())
        statistics[f"masks_used/{name}"] = float(np.mean(says > THRESHOLD))
    return statistics


def entropy(probs: np.ndarray) -> np.ndarray:
    """Over the last axis, nats."""
    return -np.sum(probs * np.log(np.maximum(probs, np.finfo(np.float64).tiny)), axis=-1)


def information(mean: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Mutual information of a mask and the first axis of `probs`, whose mean is given, nats."""
    return np.maximum(entropy(mean) - entropy(probs).mean(axis=0), 0.0)


@partial(jax.jit, static_argnums=0)
def mask_probs(model: Model, params: Params, key: Key[Array, ""], batch: Batch) -> dict[str, Float[Array, "batch ..."]]:
    """q(m) of each latent that has masks, `[batch, masks, categories]`, at a draw of those before it."""
    trace = model.infer(params, key, batch)
    return {site.name: _categories(trace.sites[site.name].posterior) for site in model.mask_sites}


def _categories(posterior: MaskedDistribution) -> Float[Array, "batch masks categories"]:
    probs = posterior.categories
    return probs.reshape(len(probs), -1, probs.shape[-1])


@partial(jax.jit, static_argnums=0)
def _of_batch(
    model: Model, params: Params, key: Key[Array, ""], batch: Batch, weight: Float[Array, " batch"]
) -> tuple[dict[str, tuple[Array, Array]], dict[str, Array]]:
    """Sums of q(m|x) and of its entropy, `[masks, categories]` and `[masks]`, and of what masks cost."""

    def one(key: Key[Array, ""]) -> tuple[dict[str, Array], dict[str, Array]]:
        sites = model.infer(params, key, batch).sites
        names = [site.name for site in model.mask_sites]
        return {name: _categories(sites[name].posterior) for name in names}, {
            name: sites[name].mask_kl for name in names
        }

    def sums(probs):
        return jnp.einsum("b,bpk->pk", weight, jnp.mean(probs, axis=0)), weight @ entropy_of_mean(probs)

    probs, costs = jax.vmap(one)(jax.random.split(key, DRAWS))
    return (
        {name: sums(of) for name, of in probs.items()},
        {name: weight @ jnp.mean(of, axis=0) for name, of in costs.items()},
    )


def entropy_of_mean(probs: Float[Array, "draws *of alternatives"]) -> Float[Array, "*of"]:
    """Entropy of the distribution that random ones have as their mean, from draws of these, nats.

    That of their average is too low by the order of 1/draws; the jackknife (Quenouille 1956) takes this order away.
    """
    count, total = len(probs), jnp.sum(probs, axis=0)
    # Of a certain alternative, rounding may leave less than 0 once one draw is taken away.
    without_one = jnp.maximum(total[None] - probs, 0.0) / (count - 1)
    of_all, of_others = (jnp.sum(jax.scipy.special.entr(mean), axis=-1) for mean in (total / count, without_one))
    return count * of_all - (count - 1) * jnp.mean(of_others, axis=0)
