"""The sum over the alternatives of a CTC: a mixture. Tests: test_summed_ctc.py."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from numpyro.distributions import Distribution, constraints

from ctc_jax.distributions import value_facts


class SummedCTC(Distribution):
    """x = sum_k m_k s_k: density sum_k pi_k f_k(x); with an off state also mass pi_off at exactly 0.

    Made by `CategoricalTimesContinuous.sum`.

    Args:
      product: the CategoricalTimesContinuous m * s, before the sum.
    """

    support = constraints.real
    pytree_data_fields = ("product",)

    def __init__(self, product: Distribution, *, validate_args: bool | None = None):
        self.product = product
        super().__init__(product.batch_shape, (), validate_args=validate_args)

    def sample(self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*shape"]:
        """Gradients flow to the values alone."""
        return jnp.sum(self.product.sample(key, sample_shape), axis=-1)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Nats: a density, and with an off state a log mass at exactly 0."""
        shape, count = jnp.broadcast_shapes(value.shape, self.batch_shape), self.product.event_shape[0]
        each = jnp.broadcast_to(value[..., None], (*shape, count))
        terms = value_facts.log_density(self.product.values, each, jnp.ones_like(each, bool))
        log_masks = jax.nn.log_softmax(self.product.logits, axis=-1)
        log_masks = jnp.broadcast_to(log_masks, (*shape, log_masks.shape[-1]))
        density = jax.nn.logsumexp(log_masks[..., :count] + terms, axis=-1)
        return (
            jnp.where(jnp.broadcast_to(value == 0, shape), log_masks[..., -1], density) if self.product.off else density
        )

    @property
    def mean(self) -> Float[Array, "*batch"]:
        """sum_k pi_k mu_k."""
        return jnp.sum(self.product.mean, axis=-1)

    @property
    def variance(self) -> Float[Array, "*batch"]:
        """sum_k pi_k (sigma_k^2 + mu_k^2) - mean^2."""
        each = self.product.mean  # at most one entry is nonzero: second moments add
        return jnp.sum(self.product.variance + each**2, axis=-1) - jnp.sum(each, axis=-1) ** 2

    def entropy(self) -> Float[Array, "*batch"]:
        """An upper bound, nats: that of m * s before the sum; exact where no two f_k overlap."""
        return self.product.entropy()
