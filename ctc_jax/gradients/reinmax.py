"""Second-order accurate straight-through (ReinMax; Liu et al. 2023). Tests: tests/gradients/test_biased.py."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import MaskKind
from ctc_jax.gradients.estimator import BOTH, Step
from ctc_jax.gradients.surrogate import zero
from ctc_jax.gradients.tempered import Tempered
from ctc_jax.options import option


@dataclass(frozen=True)
class ReinMax(Tempered):
    """2 J_{(p_t + m) / 2} delta - J_p delta / 2; biased from third order on.

    p_t are the probabilities at a temperature t, p itself at 1: above 1, categories that are hardly ever drawn keep a
    gradient, and second order is given up.

    Written as J_p delta + a (2 J_{(p_t + m) / 2} - 3 J_p / 2) delta it is straight-through and a correction, whose
    matrix has mean 0 over the masks at t = 1. It doubles the variance, and less than all of it, an a below 1, leaves
    1 - a of the second-order bias that straight-through has: this project's own.

    A gate is a choice of two, and its formula that of the categorical mask of logits (phi, 0).
    """

    second_order: float = option(1.0, "a: 0 is straight-through, 1 the published correction", at_least=0.0, at_most=1.0)

    unbiased, kinds = False, BOTH

    def mask(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind, step: Step = None
    ) -> Float[Array, "batch *masks"]:
        """A sample with this gradient."""
        mask, mean = kind.sample(key, logits)[0], kind.probs(logits)
        middle = jax.lax.stop_gradient(0.5 * (kind.soften(logits / self.temperature_at(step)) + mask))
        # A Jacobian of a mean is symmetric: applied to the logits it gives the product wanted in reverse mode.
        correction = 2.0 * kind.jacobian_product(middle, logits) - 1.5 * mean
        return mask + zero(mean + self.second_order * correction)
