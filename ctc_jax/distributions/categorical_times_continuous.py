"""A one-hot mask over K categories times one continuous value each. Tests: test_categorical_times_continuous.py."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key, Num
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.kl import kl_divergence

from ctc_jax.distributions import continuous
from ctc_jax.distributions.mask_gradient import refuse_pathwise
from ctc_jax.distributions.mask_kind import CATEGORICAL
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.distributions.sparse_support import OneHotSupport


class CategoricalTimesContinuous(Distribution):
    """Sparse vectors x = m * s: m one-hot, s_k continuous and independent of m and of one another.

    Reference measure: counting over the index of the nonzero entry, Lebesgue on its value. For x with its one nonzero
    entry at k, `log p(x) = log pi_k + log f_k(x_k)`: values that were not selected integrate out and are never scored.
    A vector without exactly one nonzero entry has density 0, save that with `off` the zero vector has mass `pi_off`
    (probabilistic max pooling has it, Lee et al. 2009). A selected value is 0 with probability 0, and draws that
    underflow are kept from it (`continuous.nonzero`). The sum over the categories is numpyro's `MixtureSameFamily`.

    To numpyro the support is discrete, since no transformation of a real vector reaches it: NUTS and `Trace_ELBO`
    refuse it as a latent, `TraceGraph_ELBO` is right. Sample the values there, and sum over the mask or enumerate it
    (docs/mathematics.md).

    Args:
      logits: mask logits, nats, `[*batch, K]`; with `off` one more, that of the off state, last.
      values: continuous numpyro distribution of batch shape `[*batch, K]` and event shape ().
      off: whether the zero vector has a probability.

    Raises:
      ValueError: values that are discrete or have an event shape; one category and no off state; logits and values
        of different K.
    """

    arg_constraints: ClassVar[dict] = {"logits": constraints.real_vector}
    pytree_data_fields = ("logits", "values")
    pytree_aux_fields = ("off",)

    def __init__(
        self,
        logits: Num[ArrayLike, "*batch masks"],
        values: Distribution,
        *,
        off: bool = False,
        validate_args: bool | None = None,
    ):
        name = type(self).__name__
        continuous.check_values(values, name)
        if not values.batch_shape:
            raise ValueError(f"{name}: values have batch shape (); allowed: one that ends in the number of categories")
        logits = continuous.as_float(logits)
        masks, categories = jnp.shape(logits)[-1], values.batch_shape[-1]
        if masks != categories + off:
            with_off = " and one for the off state" if off else ""
            raise ValueError(f"{name}: {masks} logits; allowed: {categories}, one for each value{with_off}")
        if masks < 2:
            raise ValueError(f"{name}: one category and no off state leaves no choice; allowed: two masks or more")
        batch_shape = jnp.broadcast_shapes(jnp.shape(logits)[:-1], values.batch_shape[:-1])
        self.logits, self.off = jnp.broadcast_to(logits, (*batch_shape, masks)), off
        self.values = continuous.expand(values, (*batch_shape, categories))
        super().__init__(batch_shape, (categories,), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:
        """Vectors of one nonzero entry, in the support of its value; with `off` also the zero vector."""
        return OneHotSupport(self.values.support, self.off)

    @property
    def probs(self) -> Float[Array, "*batch masks"]:
        """Probability of each mask, the off state last."""
        return jax.nn.softmax(self.logits, axis=-1)

    def sample(self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*shape K"]:
        """Vectors with one nonzero entry; none where the mask is off. Gradients flow to the values alone."""
        return self.sample_with_intermediates(key, sample_shape)[0]

    def sample_with_intermediates(
        self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()
    ) -> tuple[Float[Array, "*shape K"], list[Array]]:
        """As `sample`; beside it the masks `[*shape, K + off]`, which the vectors tell as well."""
        mask_key, value_key = jax.random.split(key)
        index = jax.random.categorical(mask_key, self.logits, shape=tuple(sample_shape) + self.batch_shape)
        mask = jax.nn.one_hot(index, self.logits.shape[-1], dtype=self.logits.dtype)
        value = continuous.nonzero(self.values, continuous.sample(self.values, value_key, sample_shape))
        return jnp.where(mask[..., : self.event_shape[0]] > 0, value, 0.0), [mask]

    def log_prob(self, value: Num[ArrayLike, "... K"], intermediates: list | None = None) -> Float[Array, "..."]:
        """Nats, in the mixed measure of the class; nan at vectors with a nan.

        Raises:
          NotImplementedError: with intermediates, a derivative by the logits is taken (`refuse_pathwise`).
        """
        value = continuous.as_float(value)
        shape = jnp.broadcast_shapes(value.shape[:-1], self.batch_shape)
        value = jnp.broadcast_to(value, shape + self.event_shape)
        nonzero = value != 0
        count = jnp.sum(nonzero, axis=-1)
        log_masks = jax.nn.log_softmax(refuse_pathwise(self.logits) if intermediates else self.logits, axis=-1)
        log_masks = jnp.broadcast_to(log_masks, (*shape, log_masks.shape[-1]))
        terms = jnp.where(nonzero, log_masks[..., : self.event_shape[0]], 0.0)
        total = jnp.sum(terms + continuous.log_density(self.values, value, nonzero), axis=-1)
        nothing = log_masks[..., -1] if self.off else -jnp.inf
        log_prob = jnp.where(count == 1, total, jnp.where(count == 0, nothing, -jnp.inf))
        return jnp.where(jnp.any(jnp.isnan(value), axis=-1), jnp.nan, log_prob)

    @property
    def mean(self) -> Float[Array, "*batch K"]:
        """pi_k mu_k."""
        return self.masked.center.product

    @property
    def variance(self) -> Float[Array, "*batch K"]:
        """pi_k (sigma_k^2 + mu_k^2) - pi_k^2 mu_k^2, of each entry."""
        probs, mean = self._probs_of_values, self.values.mean
        return probs * (self.values.variance + mean**2) - (probs * mean) ** 2

    @property
    def mode(self) -> Float[Array, "*batch K"]:
        """The mode of the most probable mask's value: densities of different masks are not compared.

        Raises:
          NotImplementedError: `continuous.MODES` does not list the values' family.
        """
        best = jax.nn.one_hot(jnp.argmax(self.logits, axis=-1), self.logits.shape[-1])
        return best[..., : self.event_shape[0]] * continuous.nonzero(self.values, continuous.mode(self.values))

    def entropy(self) -> Float[Array, "*batch"]:
        """H(m) + sum_k pi_k H(s_k), nats, in the mixed measure: x tells its mask, so this is exact.

        Where numpyro has no entropy of the values' family (`entropy_is_exact` is false), an upper bound.
        """
        log_masks = jax.nn.log_softmax(self.logits, axis=-1)
        of_mask = -jnp.sum(jnp.exp(log_masks) * log_masks, axis=-1)
        of_values = jnp.sum(self._probs_of_values * continuous.entropy(self.values), axis=-1)
        return of_mask + of_values

    @property
    def masked(self) -> MaskedDistribution:
        """The distribution of mask and values, before their product."""
        return MaskedDistribution(CATEGORICAL, self.logits, self.values)

    @property
    def entropy_is_exact(self) -> bool:
        """Whether `entropy` is no bound."""
        return continuous.has_entropy(self.values)

    @property
    def _probs_of_values(self) -> Float[Array, "*batch K"]:
        return self.probs[..., : self.event_shape[0]]


@kl_divergence.register(CategoricalTimesContinuous, CategoricalTimesContinuous)
def _kl(p: CategoricalTimesContinuous, q: CategoricalTimesContinuous) -> Float[Array, "*batch"]:
    """KL(p_m || q_m) + sum_k p_k KL(p_{s_k} || q_{s_k}), exact."""
    if p.off != q.off or p.event_shape != q.event_shape:
        raise ValueError(
            f"KL between masks over {p.event_shape[0]} alternatives{' and off' * p.off} and over "
            f"{q.event_shape[0]}{' and off' * q.off}; allowed: the same masks"
        )
    return p.masked.kl_of_each(q.masked)
