"""Masks weighted by an improved policy. Tests: tests/gradients/test_daps.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ctc_jax.distributions.mask_kind import CATEGORICAL
from ctc_jax.gradients.estimator import Context, Samples, Score
from ctc_jax.gradients.surrogate import Estimate, zero
from ctc_jax.options import option


@dataclass(frozen=True)
class DAPS(Score):
    """The log-likelihood of q under its samples weighted towards the policy that a trust region allows; biased.

    sum_k w_k grad log q(m_k), w = softmax over k of (r_k - beta log q(m_k)) / (eta + beta): the importance weights of
    q^(eta / (eta + beta)) exp(r / (eta + beta)), the best policy for reward + beta entropy - eta KL from q. It is not
    scaled as a gradient of the reward: as eta rises it tends to 1/eta times a leave-one-out gradient.
    """

    samples: int = option(2, "masks drawn per example", at_least=2)
    trust_region: float = option(1.0, "eta, weight of the KL from the present masks, nats", above=0.0)
    entropy: float = option(0.0, "beta, weight of the masks' entropy, nats", at_least=0.0)

    unbiased, kinds = False, frozenset({CATEGORICAL})

    def combine(
        self, rewards: Samples, log_masks: Samples, *, params: dict | None = None, context: Context = None
    ) -> Estimate:
        """Each sample's log-probability times its weight."""
        del params, context
        temperature = self.trust_region + self.entropy
        exponents = jax.lax.stop_gradient((rewards - self.entropy * log_masks) / temperature)
        value = jnp.mean(rewards, axis=0)
        return Estimate(value, value + zero(jnp.sum(jax.nn.softmax(exponents, axis=0) * log_masks, axis=0)))
