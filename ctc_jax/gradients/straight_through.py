"""The straight-through gradient (Bengio et al. 2013). Tests: tests/gradients/test_biased.py."""

from dataclasses import dataclass

from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind
from ctc_jax.gradients.estimator import BOTH, SinglePass, Step
from ctc_jax.gradients.surrogate import zero


@dataclass(frozen=True)
class StraightThrough(SinglePass):
    """J_p delta: the gradient in the mask, taken for that in its mean; biased."""

    unbiased, kinds = False, BOTH

    def mask(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind, step: Step = None
    ) -> Float[Array, "batch *masks"]:
        """A sample with the gradient of the mean."""
        del step
        return kind.sample(key, logits)[0] + zero(kind.probs(logits))
