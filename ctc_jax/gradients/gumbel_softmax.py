"""Masks relaxed by Gumbel or logistic noise. Tests: tests/gradients/test_biased.py."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind
from ctc_jax.gradients.estimator import BOTH, Step
from ctc_jax.gradients.surrogate import zero
from ctc_jax.gradients.tempered import Tempered


@dataclass(frozen=True)
class GumbelSoftmax(Tempered):
    """A relaxed mask y in place of a mask (Jang et al. 2017, Maddison et al. 2017); its value is that of no mask."""

    unbiased, kinds = False, BOTH

    def mask(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind, step: Step = None
    ) -> Float[Array, "batch *masks"]:
        """y = softmax((phi + noise) / temperature), a sigmoid for gates."""
        return kind.soften((logits + kind.noise(key, logits.shape)) / self.temperature_at(step))


@dataclass(frozen=True)
class STGumbel(Tempered):
    """J_y delta / temperature: a mask in the reward, the gradient of the relaxed one (Jang et al. 2017); biased."""

    unbiased, kinds = False, BOTH

    def mask(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind, step: Step = None
    ) -> Float[Array, "batch *masks"]:
        """A sample with the gradient of the relaxed mask of the same noise."""
        perturbed = logits + kind.noise(key, logits.shape)
        mask = jax.lax.stop_gradient(kind.harden(perturbed))
        return mask + zero(kind.soften(perturbed / self.temperature_at(step)))
