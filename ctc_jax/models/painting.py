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

    def step(hidden, latent, name=chain.latents[0]):
        hidden = steps.advance(hidden, name, latent)
        return hidden, chain.unfinished(hidden).mean

    hidden = steps.start()
    means = chain.unfinished(hidden).mean[None]
    if steps.rolled:
        stacked = jax.tree.map(lambda *of: jnp.stack(of), *(latents[name] for name in steps.names))
        return jnp.concatenate([means, jax.lax.scan(step, hidden, stacked)[1]])
    for name in steps.names:
        hidden, mean = step(hidden, latents[name], name)
        means = jnp.concatenate([means, mean[None]])
    return means
