"""Where a chain of one image stands: values to move, masks to draw, and the joint density. Tests: test_gibbs.py."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer

from ctc_jax.data import Batch
from ctc_jax.inference.method import Position
from ctc_jax.models import Joint, Latents, Model, Params


class Point(NamedTuple):
    """Latents, and their joint density.

    Attributes:
      latents: with all values, those that no mask selects as well.
      joint: of them, nats; None where nobody asks for it in parts.
    """

    latents: Latents
    joint: Joint | None


def labels(latents: Latents) -> list[str]:
    """Names of the latents that are given with the image: those that are no real numbers."""
    return [name for name, latent in latents.items() if not jnp.issubdtype(latent.value.dtype, jnp.floating)]


def values(model: Model, latents: Latents) -> Position:
    """The values that may move: not the ones that stand beside masks alone, and not labels."""
    fixed = {*labels(latents), *(site.name for site in model.mask_sites if not site.valued)}
    return {name: latent.value for name, latent in latents.items() if name not in fixed}


def with_values(latents: Latents, position: Position) -> Latents:
    """The latents with these values, their masks as they are."""
    return {name: latent._replace(value=position.get(name, latent.value)) for name, latent in latents.items()}


def joint_of(
    model: Model,
    params: Params,
    image: Integer[Array, "height width channels"] | Float[Array, "height width channels"],
    label: Int[Array, ""],
    latents: Latents,
) -> Joint:
    """The joint density of one image and its latents, without an axis of the batch."""
    one = jax.tree.map(lambda leaf: leaf[None], latents)
    return jax.tree.map(lambda leaf: leaf[0], model.joint(params, Batch(image[None], label[None]), one))
