"""Two images each of many codes of the prior. Tests: tests/evaluation/test_code_draws.py."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt8

from ctc_jax.models import Model, Params

CODES_PER_CALL = 250


class CodeDraws(NamedTuple):
    """Images of the same codes, first and second draw; a code is the first latent, which may be the only one.

    Attributes:
      samples: of p(x | code), levels.
      means: of p(x | latent), levels; a single draw where the code is the whole latent, which has one mean.
    """

    samples: UInt8[np.ndarray, "2 codes height width channels"]
    means: Float[np.ndarray, "draws codes height width channels"]


def draw_codes(model: Model, params: Params, *, codes: int, seed: int) -> CodeDraws:
    """Draws `codes` codes from the prior, and two images from each."""
    key, parts = jax.random.key(seed), []
    for first in range(0, codes, CODES_PER_CALL):
        # Always a full call, so that one shape is compiled; what is too much is cut off below.
        parts.append(jax.device_get(_draw(model, params, jax.random.fold_in(key, first), CODES_PER_CALL)))
    return CodeDraws(*(np.concatenate(leaves, axis=1)[:, :codes] for leaves in zip(*parts, strict=True)))


@partial(jax.jit, static_argnums=(0, 3))
def _draw(
    model: Model, params: Params, key: Key[Array, ""], codes: int
) -> tuple[UInt8[Array, "2 codes height width channels"], Float[Array, "draws codes height width channels"]]:
    key_latents, key_below, key_first, key_second = jax.random.split(key, 4)
    latents, pixels = model.generate(params, key_latents, codes)
    if len(model.latents) > 1:
        first = model.latents[0]
        _, below = model.generate(params, key_below, codes, given={first: latents[first]})
        means = jnp.stack([pixels.mean, below.mean])
    else:
        below, means = pixels, pixels.mean[None]
    samples = jnp.stack([pixels.sample(key_first), below.sample(key_second)])
    return samples.astype(jnp.uint8), means
