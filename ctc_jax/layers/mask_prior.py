"""A prior of masked values, fixed or learned. Tests: tests/layers/test_mask_prior.py."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from ctc_jax.layers.masked_draw import MaskedLaw, alike, is_deterministic


def standard_prior(q: MaskedLaw) -> MaskedLaw:
    """Every mask alike, the off state too, and standard normal values; the values of `q` where deterministic."""
    # XLA would fold the logarithms of a constant as large as a batch at compile time, for seconds to minutes.
    zero = jax.lax.optimization_barrier(jnp.float32(0.0))
    logits = jnp.broadcast_to(zero, q.logits.shape)
    if is_deterministic(q.values):
        return alike(q, logits, q.values)
    loc = jnp.broadcast_to(zero, q.values.batch_shape)
    return alike(q, logits, dist.Normal(loc, jnp.exp(loc)))


class MaskPrior(nn.Module):
    """A prior of the kind and the shape of a distribution, the same for every example.

    Attributes:
      learned: its logits, locations and log-scales are parameters, which start at `standard_prior`; else it is that.
    """

    learned: bool = False

    @nn.compact
    def __call__(self, q: MaskedLaw) -> MaskedLaw:
        """Args: q: what it is a prior of, batch shape `[batch, *places]`."""
        if not self.learned:
            return standard_prior(q)

        def parameter(name, like):
            value = self.param(name, nn.initializers.zeros_init(), like.shape[1:], jnp.float32)
            return jnp.broadcast_to(value[None], like.shape)

        logits = parameter("logits", q.logits)
        if is_deterministic(q.values):
            return alike(q, logits, q.values)
        shape = jnp.zeros(q.values.batch_shape)
        # The limits of DiagonalGaussian: what lies outside is of no use.
        log_scale = jnp.clip(parameter("log_scale", shape), -8.0, 4.0)
        return alike(q, logits, dist.Normal(parameter("loc", shape), jnp.exp(log_scale)))
