"""Leave-one-out with discrete Stein operators (RODEO; Shi et al. 2022, arXiv:2202.09497).

Tests: tests/gradients/test_rodeo.py, test_unbiased.py.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.distributions.mask_kind import BERNOULLI, MaskKind, total
from ctc_jax.gradients import small_network
from ctc_jax.gradients.estimator import BOTH, Nested
from ctc_jax.gradients.surrogate import Estimate, Reward, zero
from ctc_jax.options import option

LEAK = 0.3  # of the network's units below 0, as published


@dataclass(frozen=True)
class RODEO(Nested):
    """1/K sum_k [ (r_k - mean over j != k of (r_j + alpha A h_j(m_j))) (m_k - p) + beta A[h'_k (m - p)](m_k) ].

    A f(m) is the mean over dimensions of E f(m with that dimension drawn again), less f(m), whose mean over m is 0: the
    Gibbs sampler's Stein operator. h_k and h'_k are averages over j != k of a network of r_j and of <dr/dm at m_j,
    m - m_j>, which takes the reward at every m that A asks for from the K rewards and their slopes.

    alpha and beta are 0 at first, which is `RLOO`. What is learned falls along the gradient of an example's squared
    gradient in the logits.
    """

    samples: int = option(2, "masks drawn per example", at_least=2)
    width: int = option(100, "hidden units of the network", at_least=1)

    unbiased, kinds = True, BOTH
    learned = "weights of two control variates, and a network within them"

    def init(self, key: Key[Array, ""], logits_shape: tuple[int, ...], context_size: int) -> dict:
        """Weights of 0, and a network of two numbers whose outputs are of their size."""
        del logits_shape, context_size
        hidden_key, out_key = jax.random.split(key)
        network = small_network.init(hidden_key, 2, self.width, 2)
        network["out"]["kernel"] = jax.random.normal(out_key, (self.width, 2)) / self.width**0.5
        return {"alpha": jnp.zeros(()), "beta": jnp.zeros(()), "network": network}

    def estimate(
        self,
        key: Key[Array, ""],
        logits: Float[Array, "batch *masks"],
        reward: Reward,
        *,
        kind: MaskKind,
        params: dict,
        **_: Any,
    ) -> Estimate:
        """The reward and its gradient in the mask, at each sample."""
        masks = kind.sample(key, logits, self.samples)

        def with_slope(mask):
            value, pull = jax.vjp(reward, mask)
            return value, jax.lax.stop_gradient(pull(jnp.ones_like(value))[0])

        rewards, slopes = jax.vmap(with_slope)(masks)
        fixed = jax.lax.stop_gradient(rewards)
        probs = jax.lax.stop_gradient(kind.probs(logits))
        # All as choices among categories, a gate between two; dimensions flat.
        chosen, slope = _choices(masks, 1.0 - masks, kind), _choices(slopes, jnp.zeros_like(slopes), kind)
        drawn_again = _choices(probs[None], 1.0 - probs[None], kind)[0]

        def control(params, k):
            """A h_k(m_k), and A[h'_k (m - p)](m_k) of a choice, from the other samples."""
            others = jnp.arange(self.samples - 1)
            others += others >= k
            at = jnp.einsum("jbdc,kbdc->jb", slope[others], chosen[k][None] - chosen[others])
            changes = slope[others] - jnp.sum(slope[others] * chosen[k][None], axis=-1, keepdims=True)
            of_reward = jnp.broadcast_to(fixed[others], at.shape)
            here = jnp.mean(_network(params["network"], of_reward, at), axis=0)
            there = jnp.mean(
                _network(params["network"], of_reward[..., None, None], at[..., None, None] + changes), axis=0
            )
            redrawn = drawn_again[..., None] * there  # [batch, dimensions, categories, 2]
            plain = jnp.mean(jnp.sum(redrawn[..., 0], axis=-1), axis=-1) - here[:, 0]
            weights = redrawn[..., 1]
            sums = jnp.sum(weights, axis=-1, keepdims=True)
            score = chosen[k] - drawn_again
            whole = (jnp.mean(sums, axis=1, keepdims=True) - here[:, 1, None, None]) * score
            return plain, whole + (weights - sums * chosen[k]) / chosen.shape[2]

        def gradient(params):
            plain, scored = jax.vmap(lambda k: control(params, k))(jnp.arange(self.samples))
            corrected = fixed + params["alpha"] * plain
            others = (jnp.sum(corrected, axis=0, keepdims=True) - corrected) / (self.samples - 1)
            signals = (fixed - others)[..., None, None]
            found = jnp.mean(signals * (chosen - drawn_again[None]) + params["beta"] * scored, axis=0)
            # The logit of a gate is that of its second choice less that of its first, 0.
            return (found[..., 1] if kind == BERNOULLI else found).reshape(logits.shape)

        found = gradient(params)
        in_logits = total(jax.lax.stop_gradient(found) * logits)
        value = jnp.mean(rewards, axis=0)
        return Estimate(value, value + zero(in_logits - total(found**2)))


def _choices(on: Float[Array, "samples batch ..."], off: Float[Array, "samples batch ..."], kind: MaskKind) -> Array:
    """[samples, batch, dimensions, categories] of categories, or of gates that are off and on."""
    if kind == BERNOULLI:
        return jnp.stack([off, on], axis=-1).reshape(*on.shape[:2], -1, 2)
    return on.reshape(*on.shape[:2], -1, on.shape[-1])


def _network(params: dict, rewards: Array, differences: Array) -> Array:
    """Two outputs of a reward and of the linear difference from it, last."""
    features = jnp.stack([jnp.broadcast_to(rewards, differences.shape), differences], axis=-1).reshape(-1, 2)
    hidden = jax.nn.leaky_relu(features @ params["hidden"]["kernel"] + params["hidden"]["bias"][None], LEAK)
    found = hidden @ params["out"]["kernel"] + params["out"]["bias"][None]
    return found.reshape(*differences.shape, 2)
