"""The sum over the alternatives of a CTC: a mixture. Tests: test_summed_ctc.py."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from numpyro.distributions import Distribution, constraints

from ctc_jax.distributions import value_facts


class SummedCTC(Distribution):
    """x = sum_k m_k s_k: density sum_k pi_k f_k(x); with `off` also mass pi_off at exactly 0.

    Args:
      logits: mask logits, nats, `[*batch, K]`; with `off` one more, that of the off state, last.
      values: continuous numpyro distribution of batch shape `[*batch, K]` and event shape ().
      off: whether 0 has a probability of its own.
    """

    arg_constraints: ClassVar[dict] = {"logits": constraints.real_vector}
    support = constraints.real
    pytree_data_fields = ("logits", "values")
    pytree_aux_fields = ("off",)

    def __init__(
        self,
        logits: Float[Array, "*batch masks"],
        values: Distribution,
        *,
        off: bool = False,
        validate_args: bool | None = None,
    ):
        value_facts.check_values(values, type(self).__name__)
        batch_shape = jnp.broadcast_shapes(jnp.shape(logits)[:-1], values.batch_shape[:-1])
        self.logits, self.off = jnp.broadcast_to(logits, (*batch_shape, jnp.shape(logits)[-1])), off
        self.values = value_facts.spread(values, (*batch_shape, values.batch_shape[-1]))
        super().__init__(batch_shape, (), validate_args=validate_args)

    def sample(self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*shape"]:
        """Gradients flow to the values alone."""
        mask_key, value_key = jax.random.split(key)
        index = jax.random.categorical(mask_key, self.logits, shape=tuple(sample_shape) + self.batch_shape)
        value = value_facts.sample(self.values, value_key, sample_shape)
        # The off state's index is past the last: its one-hot vector is 0.
        return jnp.sum(jax.nn.one_hot(index, value.shape[-1], dtype=value.dtype) * value, axis=-1)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Nats: a density, and with `off` a log mass at exactly 0."""
        shape = jnp.broadcast_shapes(value.shape, self.batch_shape)
        value, count = jnp.broadcast_to(value, shape), self.values.batch_shape[-1]
        each = jnp.broadcast_to(value[..., None], (*shape, count))
        terms = value_facts.log_density(self.values, each, jnp.ones_like(each, bool))
        log_masks = jax.nn.log_softmax(self.logits, axis=-1)
        log_masks = jnp.broadcast_to(log_masks, (*shape, log_masks.shape[-1]))
        density = jax.nn.logsumexp(log_masks[..., :count] + terms, axis=-1)
        return jnp.where(value == 0, log_masks[..., -1], density) if self.off else density

    @property
    def mean(self) -> Float[Array, "*batch"]:
        """sum_k pi_k mu_k."""
        return jnp.sum(self._probs * self.values.mean, axis=-1)

    @property
    def variance(self) -> Float[Array, "*batch"]:
        """sum_k pi_k (sigma_k^2 + mu_k^2) - mean^2."""
        second = jnp.sum(self._probs * (self.values.variance + self.values.mean**2), axis=-1)
        return jnp.broadcast_to(second - self.mean**2, self.batch_shape)

    def entropy(self) -> Float[Array, "*batch"]:
        """An upper bound, nats: H(m) + sum_k pi_k H(s_k), that before the sum; exact where no two f_k overlap."""
        log_masks = jax.nn.log_softmax(self.logits, axis=-1)
        of_values = jnp.sum(self._probs * value_facts.entropy(self.values), axis=-1)
        return of_values - jnp.sum(jnp.exp(log_masks) * log_masks, axis=-1)

    @property
    def _probs(self) -> Float[Array, "*batch K"]:
        return jax.nn.softmax(self.logits, axis=-1)[..., : self.values.batch_shape[-1]]
