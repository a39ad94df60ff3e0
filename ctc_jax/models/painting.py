"""What a chain has painted before and after each of its latents. Tests: tests/models/test_painting.py."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.models.chain import CanvasChain
from ctc_jax.models.orders import Generation
from ctc_jax.models.trace import Latents


def painted(chain: CanvasChain, latents: Latents) -> Float[Array, "times batch height width channels"]:
    """The mean of the pixels before the first latent and after each, in levels."""
    steps = Generation(chain, len(latents[chain.latents[0]].value))
    hidden = steps.start()
    means = chain.unfinished(hidden).mean[None]
    for names in steps.groups:

        def step(hidden, latent, name=names[0]):
            hidden = steps.advance(hidden, name, latent)
            return hidden, chain.unfinished(hidden).mean

        if steps.rolled:
            stacked = jax.tree.map(lambda *of: jnp.stack(of), *(latents[name] for name in names))
            hidden, found = jax.lax.scan(step, hidden, stacked)
            means = jnp.concatenate([means, found])
            continue
        for name in names:
            hidden, mean = step(hidden, latents[name], name)
            means = jnp.concatenate([means, mean[None]])
    return means
