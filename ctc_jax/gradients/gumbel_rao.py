"""Rao-Blackwellized straight-through Gumbel (Paulus et al. 2021). Tests: tests/gradients/test_biased.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import CATEGORICAL, MaskKind
from ctc_jax.gradients.estimator import Step
from ctc_jax.gradients.surrogate import zero
from ctc_jax.gradients.tempered import Tempered
from ctc_jax.options import option


@dataclass(frozen=True)
class GumbelRao(Tempered):
    """`STGumbel` averaged over Gumbels conditioned on the mask, for one reward; biased as it is."""

    conditioned: int = option(16, "Gumbel draws conditioned on the mask, for one reward", at_least=1)

    unbiased, kinds = False, frozenset({CATEGORICAL})

    def mask(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind, step: Step = None
    ) -> Float[Array, "batch *masks"]:
        """A sample with the mean gradient of relaxed masks of which it is the mode."""
        mask_key, noise_key = jax.random.split(key)
        mask = kind.sample(mask_key, logits)[0]
        log_probs = jax.lax.stop_gradient(jax.nn.log_softmax(logits))
        waits = jax.random.exponential(noise_key, (self.conditioned, *logits.shape))
        # A wait that is drawn as exactly 0, once in 2^23, would give an infinite logit, and no number for the softmax.
        waits = jnp.maximum(waits, jnp.finfo(logits.dtype).tiny)
        first = jnp.sum(waits * mask[None], axis=-1, keepdims=True)
        # The sampled category's perturbed logit is the largest; the others' lie below it.
        largest = -jnp.log(first)
        below = -jnp.log(waits * jnp.exp(-log_probs)[None] + first)
        perturbed = jnp.where(mask[None] > 0, largest, below)
        relaxed = kind.soften((perturbed + zero(logits)[None]) / self.temperature_at(step))
        return mask + zero(jnp.mean(relaxed, axis=0))
