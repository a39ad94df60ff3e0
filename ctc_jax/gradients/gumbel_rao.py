"""Rao-Blackwellized straight-through Gumbel (Paulus et al. 2021). Tests: tests/gradients/test_biased.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import CATEGORICAL, MaskKind
from ctc_jax.gradients.estimator import Step
from ctc_jax.gradients.perturbed_logits import perturb_given
from ctc_jax.gradients.surrogate import zero
from ctc_jax.gradients.tempered import Tempered
from ctc_jax.options import option


@dataclass(frozen=True)
class Conditioned(Tempered):
    """Estimators that average the Jacobian of relaxed masks over Gumbels given the mask that was drawn."""

    conditioned: int = option(16, "Gumbel draws conditioned on the mask, for one reward", at_least=1)

    def mean_product(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        mask: Float[Array, "batch *masks"],
        vectors: Float[Array, "batch *masks"],
        *,
        kind: MaskKind,
        step: Step,
    ) -> Float[Array, "batch *masks"]:
        """J_y v / temperature, averaged over relaxed masks y of these logits of which the mask is the mode.

        Args:
          key: of the Gumbels.
          logits: which the Gumbels perturb; no gradient reaches them.
          mask: the mode.
          vectors: v, which alone have a gradient. As J_y is symmetric, with the logits for v it is that of J_y delta.
          kind: of the masks.
          step: of training, for the temperature.
        """
        temperature = self.temperature_at(step)
        many = [jnp.broadcast_to(of, (self.conditioned, *logits.shape)) for of in (logits, mask)]
        perturbed = jax.lax.stop_gradient(perturb_given(key, *many, kind=kind))
        products = kind.jacobian_product(kind.soften(perturbed / temperature), vectors[None])
        return jnp.mean(products, axis=0) / temperature


@dataclass(frozen=True)
class GumbelRao(Conditioned):
    """`STGumbel` averaged over Gumbels conditioned on the mask, for one reward; biased as it is."""

    unbiased, kinds = False, frozenset({CATEGORICAL})

    def mask(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind, step: Step = None
    ) -> Float[Array, "batch *masks"]:
        """A sample with the mean gradient of relaxed masks of which it is the mode."""
        mask_key, noise_key = jax.random.split(key)
        mask = kind.sample(mask_key, logits)[0]
        return mask + zero(self.mean_product(noise_key, logits, mask, logits, kind=kind, step=step))
