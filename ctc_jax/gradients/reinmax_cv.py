"""ReinMax with a control variate of relaxed masks (Wang and Bui 2026, arXiv:2603.08257).

Tests: tests/gradients/test_reinmax_relatives.py.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import CATEGORICAL, MaskKind
from ctc_jax.gradients.estimator import Step
from ctc_jax.gradients.gumbel_rao import Conditioned
from ctc_jax.gradients.surrogate import zero
from ctc_jax.options import option


@dataclass(frozen=True)
class ReinMaxCV(Conditioned):
    """2 J_{(p + m) / 2} delta - J_p delta / 2 + eta (E[J_y | m] - J_y') delta / temperature; biased.

    y and y' relax masks of the logits log((p + m) / 2): y by Gumbels given that m is their mode there, y' by those
    that drew m from p, as in the authors' code. The mean of the difference given m is not 0, and that is what it
    acts by: of mean 0 it could only add variance, as ReinMax has no noise but m (docs/mathematics.md).
    """

    eta: float = option(1.5, "weight of the control variate; 0 is reinmax", at_least=0.0)

    unbiased, kinds = False, frozenset({CATEGORICAL})

    def mask(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind, step: Step = None
    ) -> Float[Array, "batch *masks"]:
        """A sample with this gradient."""
        mask_key, noise_key = jax.random.split(key)
        noise, mean = kind.noise(mask_key, logits.shape), kind.probs(logits)
        mask = jax.lax.stop_gradient(kind.harden(logits + noise))
        middle = jax.lax.stop_gradient(0.5 * (mean + mask))
        temperature = self.temperature_at(step)
        reinmax = 2.0 * kind.jacobian_product(middle, logits) - 0.5 * mean
        given = self.mean_product(noise_key, jnp.log(middle), mask, logits, kind=kind, step=step)
        relaxed = kind.soften((jnp.log(middle) + noise) / temperature)
        control = given - kind.jacobian_product(relaxed, logits) / temperature
        return mask + zero(reinmax + self.eta * control)
