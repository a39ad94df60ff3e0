"""Masks drawn from their exact conditionals, one window after another. Tests: tests/inference/test_gibbs.py."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked
from ctc_jax.inference.method import keys_of
from ctc_jax.inference.point import Point, joint_of
from ctc_jax.models import Model, Params

# A latent with masks, and which of them.
Visits = list[tuple[MaskSite, int]]


def visits(model: Model, key: Key[Array, ""], windows: int) -> Visits:
    """The windows that a sweep visits, one after another.

    Args:
      model: any.
      key: of the choice, which is the same for all chains and images.
      windows: how many, drawn without replacement; 0, or as many as there are, for all of them in their order.
    """
    every = [(site, window) for site in model.mask_sites for window in range(site.dimensions)]
    if not 0 < windows < len(every):
        return every
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    return [every[place] for place in random.permutation(len(every))[:windows]]


def sweep(
    model: Model,
    params: Params,
    key: Key[Array, ""],
    point: Point,
    batch: Batch,
    order: Visits,
    *,
    beta: Float[Array, ""] | float = 1.0,
    highest: bool = False,
) -> Point:
    """Draws the mask of each window in turn, given all other masks, of all chains and images.

    By a coin, a mask moves alone, given all values; or a one-hot mask takes the values of its window along, which go
    round by as many places, so that the value it selects stays the same. Either way the state is drawn from its exact
    conditional among those that can be reached, which can reach one another: the visit leaves p(z) p(x | z)^beta as it
    is and is its own reversal, so that the sweep's reversal is the one in the reversed order. A window costs an
    evaluation of the model for each of its other alternatives.

    Args:
      model: with masks.
      params: its parameters.
      key: of the draws.
      point: `[chains, images, ...]`.
      batch: images.
      order: of the windows.
      beta: inverse temperature of the likelihood.
      highest: whether the mask with the highest log p(x, z) is taken instead, by which it never falls (iterated
        conditional modes, Besag 1986).
    """
    # A loop of the host: a convolution within a compiled one is slow on CPUs, and one window's work is large.
    for number, (site, window) in enumerate(order):
        key_window = jax.random.fold_in(key, number)
        point = _visit(model, site, highest, params, key_window, window, point, batch, beta)
    return point


@partial(jax.jit, static_argnums=(0, 1, 2))
def _visit(model, site, highest, params, key, window, point, batch, beta):
    def one(key, point, image, label):
        latent = point.latents[site.name]
        key_carried, key_mask = jax.random.split(key)
        masks = latent.mask.reshape(site.dimensions, -1)
        every = site.kind.alternatives(latent.mask).reshape(site.categories, -1)
        # The present one comes first: its density is known, and it stays where none is higher.
        present = jnp.argmax(jnp.all(every == masks[window][None], axis=-1))
        shift = jnp.arange(site.categories)
        every = every[(present + shift) % site.categories]
        rows = latent.value.reshape(site.dimensions, -1)
        # An off state has no value: nothing goes round where there is one, nor where a gate has its single value.
        carried = jax.random.bernoulli(key_carried) & (rows.shape == masks.shape)
        turned = jax.vmap(lambda by: jnp.roll(rows[window], carried * by))(shift)

        def placed(alternative):
            mask = masks.at[window].set(every[alternative]).reshape(latent.mask.shape)
            value = rows.at[window].set(turned[alternative]).reshape(latent.value.shape)
            return {**point.latents, site.name: Masked(value, mask)}

        others = jax.vmap(lambda of: joint_of(model, params, image, label, placed(of)))(shift[1:])
        joint = jax.tree.map(lambda now, other: jnp.concatenate([now[None], other]), point.joint, others)
        log_density = joint.total if highest else joint.of_all(beta)
        log_density = jnp.where(jnp.isnan(log_density), -jnp.inf, log_density)
        chosen = jnp.argmax(log_density) if highest else jax.random.categorical(key_mask, log_density)
        return Point(placed(chosen), jax.tree.map(lambda leaf: leaf[chosen], joint))

    keys = keys_of(key, *point.joint.log_likelihood.shape)
    over_images = jax.vmap(one)
    return jax.vmap(over_images, in_axes=(0, 0, None, None))(keys, point, batch.image, batch.label)
