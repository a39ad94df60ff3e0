"""ReinMax with Gumbels given the mask in its first term (Wang and Bui 2026, arXiv:2603.08257).

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


@dataclass(frozen=True)
class ReinMaxRao(Conditioned):
    """2 E[J_y | m] delta / temperature - J_p delta / 2, with y of the logits log((p + m) / 2); biased.

    `ReinMax` has J_{(p + m) / 2} in place of the mean of J_y / temperature, which is another matrix at every
    temperature: at 0 the gradient is ReinMax's less J_p delta / 2 (docs/mathematics.md).
    """

    unbiased, kinds = False, frozenset({CATEGORICAL})

    def mask(
        self, key: Key[Array, ""], logits: Float[Array, "batch *masks"], *, kind: MaskKind, step: Step = None
    ) -> Float[Array, "batch *masks"]:
        """A sample with this gradient."""
        mask_key, noise_key = jax.random.split(key)
        mask, mean = kind.sample(mask_key, logits)[0], kind.probs(logits)
        middle = jnp.log(0.5 * (jax.lax.stop_gradient(mean) + mask))
        first = self.mean_product(noise_key, middle, mask, logits, kind=kind, step=step)
        return mask + zero(2.0 * first - 0.5 * mean)
